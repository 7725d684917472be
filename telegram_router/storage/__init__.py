"""What outlives the process: capture files, counters of quotas and usage."""
