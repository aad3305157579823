// The queries that the page offers, for the database that scripts/demo_database.py makes.

export const examples = [
  { name: 'One row', sql: 'SELECT * FROM album WHERE id = 1234;' },
  {
    name: 'Join',
    sql: `-- The records of an artist, track by track
SELECT a.title AS album, a.released, t.position, t.title, t.seconds
FROM artist AS r
JOIN album AS a ON a.artist_id = r.id
JOIN track AS t ON t.album_id = a.id
WHERE r.name = 'Atlas Society'
ORDER BY a.released, t.position;`,
  },
  {
    name: 'Full-text search',
    sql: `-- What people wrote of theremins and ferries
SELECT v.at, v.stars, v.words
FROM review_search AS s
JOIN review AS v ON v.id = s.rowid
WHERE review_search MATCH 'theremin AND ferry'
LIMIT 20;`,
  },
  {
    name: 'Window function',
    sql: `-- The three newest records of each genre
SELECT genre, place, cover, title, released, label
FROM (SELECT *, row_number() OVER newest AS place FROM album
  WINDOW newest AS (PARTITION BY genre ORDER BY released DESC))
WHERE place <= 3
ORDER BY genre, place;`,
  },
  {
    name: 'Aggregate',
    sql: `-- What each genre earned. Reads every purchase, which is some MB.
SELECT a.genre, count(*) AS purchases, sum(p.copies) AS copies,
  round(sum(p.paid), 2) AS paid
FROM purchase AS p JOIN album AS a ON a.id = p.album_id
GROUP BY a.genre
ORDER BY paid DESC;`,
  },
  {
    name: 'Write',
    sql: `INSERT INTO guestbook (at, who, words)
VALUES (datetime('now'), NULL, 'Hello from a browser tab')
RETURNING *;`,
  },
  { name: 'Guest book', sql: 'SELECT * FROM guestbook ORDER BY id DESC LIMIT 50;' },
];
