# Random SQL over disks that fail, and a SQLite that fails: many more scripts, and every 5th of the calls that do not decide.
FAULT_SEEDS=200 TURNS=60 EVERY=5 exec "$PYTHON" -B "$(dirname "$0")/../py/differential_faults.py"
