"""The page at `/`: pages are made here from templates, and every control on them is a link or a form.

What is looked at stands in the address (`state`), so a view can be shared, stepped back from and read without
scripts; htmx only keeps the rest of the page in place. Nothing is fetched from elsewhere.
"""
