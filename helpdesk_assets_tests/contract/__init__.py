"""What every `Warehouse` promises, told of the one in memory and of the stand-in for BigQuery."""
