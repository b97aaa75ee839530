"""A public dataset's description -> a verified local file, and its events.

The folder that the environment variable NEXTITEM_DATA names is searched first, then the cache
(`$XDG_CACHE_HOME/nextitem`, by default `~/.cache/nextitem`); a file found there, plain or .gz, is used as it is. What
is in neither is downloaded once, from where NEXTITEM_MIRROR says (a folder, or the address of one) or from where it is
published: into NEXTITEM_DATA where that can be written, else into the cache. Found or downloaded, every file is
verified. Of a dataset that comes as a zip, the zip is kept and verified, and the one file in it is written beside it,
or into the cache where that place cannot be written.
"""

from nextitem.data.acquisition.finding import cache_folder, load, local, locate

__all__ = ["cache_folder", "load", "local", "locate"]
