"""`user::item::rating::time` without a header, as MovieLens publishes its ratings."""

from nextitem.data.reading.records import Divided

RATINGS = Divided("ratings", (".dat",), "::", ("user", "item", "rating", "time"))
