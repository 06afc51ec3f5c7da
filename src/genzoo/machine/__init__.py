"""What the machine, the terminal, the network and the dashboards are told."""
