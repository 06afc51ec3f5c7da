"""The machine: processors, processes, signals, terminal, network and dashboards."""
