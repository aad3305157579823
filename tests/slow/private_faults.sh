# Disks that fail, and a SQLite that fails: at every call that decides, and at every 13th of the others.
EVERY=13 exec "$PYTHON" -B "$(dirname "$0")/../py/private_faults.py"
