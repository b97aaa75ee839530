"""Values between tabs under a header. RecBole's atomic files are such (`.inter`, with types: `user_id:token`)."""

from nextitem.data.reading.records import Divided

TAB_SEPARATED = Divided("tsv", (".tsv", ".inter"), "\t")
