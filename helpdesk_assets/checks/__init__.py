"""What every run is judged by. They read a report and a state row, and cost no query job."""
