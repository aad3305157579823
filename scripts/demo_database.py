#!/usr/bin/env python3
"""usage: scripts/demo_database.py FILE

Makes FILE, the SQLite database of `make demo-web`: a record shop of which nothing is real, with
what it sells, to whom, and what they think of it. Every run makes the same rows.
"""

import os
import random
import sqlite3
import struct
import sys
import zlib
from datetime import date, datetime, timedelta
from itertools import accumulate

ARTISTS, CUSTOMERS, PURCHASES, REVIEWS = 400, 3000, 90_000, 12_000
OPENED = datetime(2019, 3, 1, 10)
DAYS_OPEN = 2400

SCHEMA = """
PRAGMA page_size = 4096;
PRAGMA journal_mode = off;
CREATE TABLE artist (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, country TEXT NOT NULL,
  formed INTEGER NOT NULL, disbanded INTEGER
);
CREATE TABLE album (
  id INTEGER PRIMARY KEY, artist_id INTEGER NOT NULL REFERENCES artist, title TEXT NOT NULL,
  genre TEXT NOT NULL, released TEXT NOT NULL, label TEXT, price REAL NOT NULL, cover BLOB NOT NULL
);
CREATE TABLE track (
  album_id INTEGER NOT NULL REFERENCES album, position INTEGER NOT NULL, title TEXT NOT NULL,
  seconds INTEGER NOT NULL, PRIMARY KEY (album_id, position)
) WITHOUT ROWID;
CREATE TABLE customer (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, country TEXT NOT NULL,
  joined TEXT NOT NULL
);
CREATE TABLE purchase (
  id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customer,
  album_id INTEGER NOT NULL REFERENCES album, at TEXT NOT NULL, copies INTEGER NOT NULL,
  paid REAL NOT NULL
);
CREATE TABLE review (
  id INTEGER PRIMARY KEY, album_id INTEGER NOT NULL REFERENCES album,
  customer_id INTEGER NOT NULL REFERENCES customer, at TEXT NOT NULL, stars INTEGER,
  words TEXT NOT NULL
);
CREATE VIRTUAL TABLE review_search USING fts5 (words, content='review', content_rowid='id');
CREATE TABLE guestbook (id INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT, words TEXT NOT NULL);
"""

# After the rows: so each index is written once, in its order.
INDEXES = """
INSERT INTO review_search (review_search) VALUES ('rebuild');
CREATE TRIGGER review_added AFTER INSERT ON review BEGIN
  INSERT INTO review_search (rowid, words) VALUES (new.id, new.words);
END;
CREATE TRIGGER review_removed AFTER DELETE ON review BEGIN
  INSERT INTO review_search (review_search, rowid, words) VALUES ('delete', old.id, old.words);
END;
CREATE TRIGGER review_changed AFTER UPDATE OF words ON review BEGIN
  INSERT INTO review_search (review_search, rowid, words) VALUES ('delete', old.id, old.words);
  INSERT INTO review_search (rowid, words) VALUES (new.id, new.words);
END;
CREATE INDEX album_of_artist ON album (artist_id);
CREATE INDEX purchase_of_album ON purchase (album_id);
CREATE INDEX purchase_of_customer ON purchase (customer_id);
CREATE INDEX review_of_album ON review (album_id);
INSERT INTO guestbook (at, who, words) VALUES
  ('2026-01-02 10:00:00', 'The shop', 'Change anything you like: this database is yours.');
ANALYZE;
"""

ADJECTIVES = """Amber Borrowed Broken Copper Distant Electric Faded Feral Gentle Glass Golden Hollow
Idle Ivory Kind Last Late Lonely Lunar Midnight Minor Northern Paper Patient Plastic Quiet Restless
Salt Second Secret Silver Sleeping Slow Solar Static Stolen Tender Upstairs Velvet Violet Wandering
Winter Wooden Yellow""".split()
NOUNS = """Antenna Arcade Atlas Avenue Bicycle Cathedral Clockwork Comet Corridor Delta Echo
Elevator Engine Fable Ferry Garden Harbour Horizon Hotel Island Kitchen Ladder Lantern Lighthouse
Machine Meadow Mirror Motorway Orchard Parade Piano Postcard Radio River Satellite Season Shadow
Staircase Summer Telephone Theatre Thunder Umbrella Weather Window""".split()
PLURALS = """Avenues Balconies Bicycles Comets Deltas Elephants Fables Ghosts Harbours Horizons
Islands Kites Lanterns Letters Mirrors Mountains Oceans Pianos Rivers Shadows Strangers Sundays
Telephones Trains Winters""".split()
SECOND_WORDS = ["Club", "Ensemble", "Society", "Trio", "Union", "Brothers", "Sisters", "Orchestra"]
VERBS = """Borrowing Burning Calling Counting Crossing Driving Drawing Finding Folding Following
Leaving Losing Mending Missing Naming Painting Reading Remembering Saving Waiting_for""".split()
FIRST_NAMES = """Ada Aino Amara Anouk Bela Carmen Cleo Dario Edda Elif Emil Farid Freya Gus Hana
Ilse Imani Ines Ivo Jonas Jun Kai Lena Leon Lucia Maya Mika Mina Nadia Nils Noor Olga Omar Pia Ravi
Rosa Sami Selma Sora Tara Theo Tomas Uma Vera Yara Zeno""".split()
LAST_NAMES = """Abara Akiyama Bergstrom Castellan Dimitrov Eriksen Fontaine Grunwald Haddad Ivanova
Jansen Kowalski Lindqvist Marchetti Novak Okafor Petrov Quintero Rahman Santos Takeda Ulrich Vargas
Weber Xavier Yilmaz Zelenka""".split()
CITIES = {"Norway": ["Bergen", "Oslo"], "Japan": ["Kyoto", "Sapporo"], "Ghana": ["Accra", "Kumasi"],
          "Brazil": ["Recife", "Belem"], "Portugal": ["Porto", "Lisbon"],
          "India": ["Pune", "Kochi"], "Canada": ["Halifax", "Regina"], "Chile": ["Arica"],
          "Germany": ["Leipzig", "Bremen"], "Mexico": ["Oaxaca", "Merida"],
          "New Zealand": ["Dunedin", "Nelson"], "Ireland": ["Galway", "Cork"], "Finland": ["Turku"],
          "Italy": ["Turin", "Bari"], "Morocco": ["Fez", "Agadir"]}
GENRES = ["Ambient", "Blues", "Chamber Pop", "Disco", "Dub", "Electro", "Folk", "Funk", "Jazz",
          "Post-rock", "Psychedelia", "Shoegaze", "Soul", "Surf"]
LABELS = ["Tin Roof", "Left Bank Pressings", "Half Moon", "Cold Kettle", "Ninth Floor", "Low Tide",
          "Small Hours", "Green Door"]

OPENINGS = ["Bought it for the cover and stayed for {part}.", "It took me three listens.",
            "I put this on {when} and forgot the time.", "Not their best, but {part} saves it.",
            "My neighbour knocked, to ask what this was.", "Everything here leans on {part}.",
            "Nobody writes {part} like this any more.", "The first side is flawless.",
            "I wanted to like it more than I did."]
MIDDLES = ["The {sound} {instrument} comes in like {image}, and {then}.",
           "Side two opens with a {sound} {instrument}; by the end {then}.",
           "You can hear the room: {image}, a {sound} {instrument}, somebody counting in.",
           "Halfway through {then}, and the {instrument} sounds like {image}.",
           "There is a {sound} {instrument} under it all that reminds me of {image}."]
CLOSINGS = ["Play it loud.", "Play it {when}, alone.", "Mine skips, and I do not mind.",
            "Worth every coin.", "I sold it, and bought it again.", "My children ask for it.",
            "The pressing is quiet and heavy.", "File beside your favourites.",
            "I shall not need another.", "Ask the shop to play you the last track."]
SLOTS = {
    "part": ["the bass line", "the chorus", "the drumming", "that bridge", "the last four minutes",
             "the strings", "the harmony singing", "the silence between the songs"],
    "when": ["at midnight", "on a train", "while cooking", "on a rainy Sunday", "in an empty flat",
             "before sunrise", "in the car", "during a power cut"],
    "sound": ["hypnotic", "warm", "brittle", "muffled", "glorious", "detuned", "patient",
              "trembling", "distorted", "crystalline"],
    "instrument": ["accordion", "bass clarinet", "cello", "drum machine", "farfisa", "guitar",
                   "harmonium", "kalimba", "mellotron", "saxophone", "theremin", "vibraphone"],
    "image": ["rain on a tin roof", "a ferry leaving the harbour", "snow falling on a motorway",
              "an argument in the next room", "the sea at night", "a lamp left on in the hall",
              "birds over a car park", "a letter that was never sent", "the end of a long summer"],
    "then": ["everything falls apart beautifully", "nobody breathes for a whole minute",
             "the tempo doubles", "the song forgets its own chorus", "you are somewhere else",
             "a choir walks in", "it all turns out to be a waltz", "the tape runs out"],
}


class Chance:
    """Random choices that are the same with every Python: only random() is promised to be."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def below(self, count):
        return int(self.random() * count)

    def pick(self, choices):
        return choices[self.below(len(choices))]

    def maybe(self, share, value):
        return value if self.random() < share else None

    def day(self, first, last):
        return first + timedelta(days=self.below((last - first).days + 1))


def fill_in(chance, text):
    for slot, words in SLOTS.items():
        if "{" + slot + "}" in text:
            text = text.replace("{" + slot + "}", chance.pick(words))
    return text


def cover(chance):
    """A PNG of 8 x 8 pixels in two colours, its halves mirrored."""
    hue = chance.pick([(214, 90, 60), (40, 120, 140), (230, 170, 50), (110, 80, 160), (60, 140, 90),
                       (200, 70, 120), (50, 70, 130), (150, 110, 80)])
    paper = tuple(255 - (255 - part) // 6 for part in hue)
    rows = b""
    for _ in range(8):
        half = chance.below(16)
        rows += bytes([0, half << 4 | int(f"{half:04b}"[::-1], 2)])

    def chunk(kind, body):
        length, check = struct.pack(">I", len(body)), struct.pack(">I", zlib.crc32(kind + body))
        return length + kind + body + check

    header = struct.pack(">IIBBBBB", 8, 8, 1, 3, 0, 0, 0)
    # Level 0: with compression the bytes would be those of one version of zlib.
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"PLTE", bytes(paper + hue))
            + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))


def artist_name(chance):
    adjective, noun, person = chance.pick(ADJECTIVES), chance.pick(NOUNS), chance.pick(LAST_NAMES)
    first, second = chance.pick(FIRST_NAMES), chance.pick(SECOND_WORDS)
    return chance.pick([f"The {adjective} {noun}", f"{adjective} {noun}", f"{noun} {second}",
                        f"{first} {person}", f"{person} {second}"])


def title(chance):
    adjective, noun, other = chance.pick(ADJECTIVES), chance.pick(NOUNS), chance.pick(PLURALS)
    verb = chance.pick(VERBS).replace("_", " ")
    return chance.pick([f"{adjective} {noun}", f"{verb} the {noun}", f"{other} and the {noun}",
                        f"The {noun} Is {adjective}", f"{verb} {other}", f"No {noun} Tonight"])


def artists(chance):
    names = {}
    while len(names) < ARTISTS:
        names[artist_name(chance)] = None
    for number, name in enumerate(names, 1):
        formed = 1962 + chance.below(58)
        ended = formed + 2 + chance.below(30)
        yield number, name, chance.pick(list(CITIES)), formed, ended if ended < 2020 else None


def albums(chance, makers):
    number = 0
    for artist_id, _, _, formed, disbanded in makers:
        first, last = date(formed, 6, 1), date(disbanded or 2025, 9, 30)
        home = chance.pick(GENRES)
        for _ in range(1 + chance.below(9)):
            number += 1
            genre = home if chance.random() < 0.7 else chance.pick(GENRES)
            label, price = chance.maybe(0.85, chance.pick(LABELS)), 9 + chance.below(24) + 0.9
            yield (number, artist_id, title(chance), genre, chance.day(first, last).isoformat(),
                   label, price, cover(chance))


def tracks(chance, records):
    for album in records:
        for position in range(1, 7 + chance.below(9)):
            yield album[0], position, title(chance), 95 + chance.below(420)


def customers(chance):
    for number in range(1, CUSTOMERS + 1):
        country = chance.pick(list(CITIES))
        name = f"{chance.pick(FIRST_NAMES)} {chance.pick(LAST_NAMES)}"
        joined = chance.day(OPENED, OPENED + timedelta(days=DAYS_OPEN)).date().isoformat()
        yield number, name, chance.pick(CITIES[country]), country, joined


def popular(chance, count):
    """A function that picks of 1 to `count`, a few of them much more often than the rest."""
    steps = list(accumulate(1 / (1 + chance.below(60)) for _ in range(count)))

    def pick():
        wanted, low, high = chance.random() * steps[-1], 0, count - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if steps[middle] >= wanted else (middle + 1, high)
        return low + 1
    return pick


def moments(chance, count):
    """`count` times in order, more of them in the later years and before Christmas."""
    days = [1 + day / 600 + (3 if (OPENED + timedelta(days=day)).month == 12 else 0)
            for day in range(DAYS_OPEN)]
    scale = count / sum(days)
    owed = 0.0
    for day, share in enumerate(days):
        owed += share * scale
        minutes = sorted(chance.below(10 * 60) for _ in range(int(owed)))
        owed -= len(minutes)
        for minute in minutes:
            yield (OPENED + timedelta(days=day, minutes=minute)).isoformat(" ")


def purchases(chance, records):
    album, customer = popular(chance, len(records)), popular(chance, CUSTOMERS)
    for number, at in enumerate(moments(chance, PURCHASES), 1):
        album_id = album()
        copies = 1 if chance.random() < 0.93 else 2 + chance.below(3)
        yield number, customer(), album_id, at, copies, round(records[album_id - 1][6] * copies, 2)


def reviews(chance, records):
    album, customer = popular(chance, len(records)), popular(chance, CUSTOMERS)
    for number, at in enumerate(moments(chance, REVIEWS), 1):
        words = [chance.pick(OPENINGS)] + [chance.pick(MIDDLES) for _ in range(1 + chance.below(3))]
        text = " ".join(fill_in(chance, sentence) for sentence in words + [chance.pick(CLOSINGS)])
        stars = chance.maybe(0.9, chance.pick([1, 2, 3, 3, 4, 4, 4, 5, 5]))
        yield number, album(), customer(), at, stars, text


def make(path):
    partial = path + ".partial"
    if os.path.exists(partial):
        os.remove(partial)
    chance = Chance(1979)
    db = sqlite3.connect(partial, isolation_level=None)
    db.executescript(SCHEMA)
    db.execute("BEGIN")

    def insert(table, rows):
        rows = list(rows)
        db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
        return rows

    records = insert("album", albums(chance, insert("artist", artists(chance))))
    insert("track", tracks(chance, records))
    insert("customer", customers(chance))
    insert("purchase", purchases(chance, records))
    insert("review", reviews(chance, records))
    db.execute("COMMIT")
    db.executescript(INDEXES)
    db.execute("VACUUM")
    db.close()
    os.replace(partial, path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    make(sys.argv[1])
