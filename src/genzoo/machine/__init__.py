"""The machine below: processors, processes, signals, terminal, network and dashboards."""
