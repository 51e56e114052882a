"""`python -m helpdesk_assets.cli`: the same command if the script is not on the PATH."""

from helpdesk_assets.cli import main

main()
