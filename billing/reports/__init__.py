"""What was spent, by whom, on what, and what comes next. Reads rollups; every report is given the projects its reader may see."""
