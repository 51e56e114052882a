"""`python -m helpdesk_assets.cli`: the same command where the script is not on the PATH."""

from helpdesk_assets.cli import main

main()
