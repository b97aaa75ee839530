"""What `nextitem` and `python -m nextitem` run: little, so that Ctrl-C is heeded before all else is imported."""

from nextitem.compute.interrupts import leaving_at_once


def main() -> None:
    """Run the command line; it exits with the code of `nextitem.cli.app`."""
    with leaving_at_once():
        from nextitem.cli import app
        from nextitem.compute.streams import quieten_libraries
    quieten_libraries()
    app.main()


if __name__ == "__main__":
    main()
