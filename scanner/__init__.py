"""At the scanner: the session server, its status page, what a site installs (Gadgetron, OpenRecon, systemd)."""
