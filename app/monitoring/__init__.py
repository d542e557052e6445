"""What operators see of a running process: logs, metrics, readiness, traces."""
