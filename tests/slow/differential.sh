# Random SQL beside plain SQLite, 2,000 seeds.
SEEDS=2000 exec "$PYTHON" -B "$(dirname "$0")/../py/differential.py"
