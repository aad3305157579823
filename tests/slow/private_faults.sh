# Disks that fail, and a SQLite that fails, at every 11th call, in each of 40 cases at other ones.
EVERY=11 exec "$PYTHON" -B "$(dirname "$0")/../py/private_faults.py"
