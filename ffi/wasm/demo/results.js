// Rows as a table. Every value gets into the page as text; an image is one only as a blob's bytes.

import { bytes, counted, number } from './house/text.js';

// More would make the page slow; the query has run whole all the same.
export const MOST_ROWS = 1000;
// A date or a name stays on its line; a text of more than LONG takes two until it is pressed.
const SHORT_CHARACTERS = 40;
const LONG_CHARACTERS = 120;
const LARGEST_IMAGE_BYTES = 1 << 20;
const IMAGES = [['image/png', [0x89, 0x50, 0x4e, 0x47]], ['image/jpeg', [0xff, 0xd8, 0xff]],
  ['image/gif', [0x47, 0x49, 0x46, 0x38]]];

let urls = []; // of the images that are shown

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function longText(text) {
  const node = make('button', 'long', text);
  node.type = 'button';
  node.title = 'Show all of it';
  node.setAttribute('aria-expanded', 'false');
  node.addEventListener('click', () => {
    const open = node.getAttribute('aria-expanded') === 'true';
    node.setAttribute('aria-expanded', String(!open));
    node.title = open ? 'Show all of it' : 'Show less';
  });
  return node;
}

function blob(value) {
  const node = make('span', 'blob');
  const kind = IMAGES.find(([, first]) => first.every((byte, i) => value[i] === byte));
  if (kind && value.length <= LARGEST_IMAGE_BYTES) {
    const image = make('img');
    image.src = URL.createObjectURL(new Blob([value], { type: kind[0] }));
    image.alt = `an image of ${bytes(value.length)}`;
    image.title = bytes(value.length);
    urls.push(image.src);
    node.append(image);
    return node;
  }
  const hex = Array.from(value.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0'));
  const more = value.length > hex.length ? '\u2026' : '';
  node.append(make('code', '', `x'${hex.join('')}${more}'`), ` ${bytes(value.length)}`);
  return node;
}

const isNumber = (value) => typeof value === 'number' || typeof value === 'bigint';

function cell(value, inNumbers) {
  const node = make('td', inNumbers || isNumber(value) ? 'number' : '');
  if (value === null || value === undefined) {
    node.append(make('span', 'null', 'NULL'));
  } else if (value instanceof Uint8Array || value instanceof Int8Array) {
    node.append(blob(new Uint8Array(value.buffer, value.byteOffset, value.length)));
  } else if (isNumber(value)) {
    node.textContent = String(value);
  } else {
    const text = String(value);
    if (text.length > LONG_CHARACTERS) node.append(longText(text));
    else node.append(make('span', text.length > SHORT_CHARACTERS ? 'text' : 'short', text));
  }
  return node;
}

// Shows the rows in `place`, in stead of what it showed.
export function showRows(place, columns, rows) {
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  place.scrollTo(0, 0);
  if (columns.length === 0) {
    place.replaceChildren(make('p', 'empty', 'Done. This statement has no rows to show.'));
    return;
  }
  const numeric = columns.map((_, i) => isNumber(rows.find((row) => row[i] !== null)?.[i]));
  const table = make('table');
  const head = table.createTHead().insertRow();
  columns.forEach((name, i) => {
    const node = make('th', numeric[i] ? 'number' : '', name);
    node.scope = 'col';
    head.append(node);
  });
  const body = table.createTBody();
  rows.slice(0, MOST_ROWS).forEach((row) => {
    const node = body.insertRow();
    row.forEach((value, i) => node.append(cell(value, numeric[i])));
  });
  place.replaceChildren(table);
  if (rows.length === 0) place.append(make('p', 'empty', 'No rows.'));
}

// How many there are, as shown above them.
export function rowsText(count) {
  const found = counted(count, 'row', 'rows');
  return count > MOST_ROWS ? `${found}, the first ${number(MOST_ROWS)} shown` : found;
}
