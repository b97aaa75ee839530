"""`user item` with one space between them and no header; the order of lines is the order in time."""

from nextitem.data.reading.records import Divided

PAIRS = Divided("pairs", (".txt",), " ", ("user", "item"))
