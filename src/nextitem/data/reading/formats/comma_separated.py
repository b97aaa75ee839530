"""Values between commas under a header, the only text that knows quotes."""

from nextitem.data.reading.records import Divided

COMMA_SEPARATED = Divided("csv", (".csv",), ",", has_quotes=True)
