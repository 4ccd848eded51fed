// The page of the door: it asks /stats and /top every two seconds, and draws what has changed. It makes
// all of its elements itself, and puts in text as text: nothing that a client of the app has sent can
// become markup here.
'use strict';

const every = 2000;
const points = 150;
const results = ['hit', 'stale', 'collapsed', 'revalidated', 'stored', 'unstored', 'passed', 'refused'];
const history = [];
let before = null;

const $ = (id) => document.getElementById(id);

// base is where the door is, without the user and the password that the page's address may have.
const base = location.origin + location.pathname;

// make returns an element with attributes and children, which are elements or texts.
function make(name, attributes, ...children) {
  const svg = ['svg', 'line', 'polyline', 'text'].includes(name);
  const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

// number writes a number with few digits: 12.3k.
function number(n) {
  if (n === 0) return '0';
  const units = ['', 'k', 'M', 'G', 'T'];
  let u = 0;
  while (Math.abs(n) >= 1000 && u < units.length - 1) { n /= 1000; u++; }
  const digits = Math.abs(n) >= 100 || Number.isInteger(n) ? 0 : Math.abs(n) >= 10 ? 1 : 2;
  return n.toFixed(digits) + units[u];
}

function bytes(n) {
  if (n < 0) return 'unknown';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let u = 0;
  while (n >= 1024 && u < units.length - 1) { n /= 1024; u++; }
  return (u === 0 || n >= 100 ? n.toFixed(0) : n.toFixed(1)) + ' ' + units[u];
}

function time(s) {
  if (s === 0) return '0';
  if (s < 0.001) return (s * 1e6).toFixed(0) + ' µs';
  if (s < 1) return (s * 1e3).toFixed(s < 0.01 ? 1 : 0) + ' ms';
  if (s < 120) return s.toFixed(s < 10 ? 1 : 0) + ' s';
  if (s < 7200) return (s / 60).toFixed(0) + ' min';
  return (s / 3600).toFixed(1) + ' h';
}

const percent = (part, whole) => whole > 0 ? (100 * part / whole).toFixed(1) + ' %' : '–';

// table fills a table: columns are [title, isNumber], rows are lists of texts.
function table(id, columns, rows, none) {
  const body = rows.length === 0
    ? [make('tr', {}, make('td', { colspan: columns.length, class: 'empty' }, none))]
    : rows.map((row) => make('tr', {}, ...row.map((text, i) =>
      make('td', { class: columns[i][1] ? 'number' : i === 0 ? 'page' : '' }, text))));
  $(id).replaceChildren(
    make('thead', {}, make('tr', {}, ...columns.map(([title, isNumber]) =>
      make('th', { scope: 'col', class: isNumber ? 'number' : '' }, title)))),
    make('tbody', {}, ...body));
}

// totals sums the series by result.
function totals(stats) {
  const sum = { requests: 0, saved: 0 };
  for (const r of results) sum[r] = 0;
  for (const s of stats.series) {
    sum[s.result] += s.requests;
    sum.requests += s.requests;
    sum.saved += s.saved;
  }
  return sum;
}

// fresh is how many requests were answered without a whole response of a handler.
const fresh = (t) => t.hit + t.stale + t.collapsed + t.revalidated;

function tile(title, value) {
  return make('div', {}, make('dt', {}, title), make('dd', {}, value));
}

function drawTiles(stats, now, rate) {
  const looked = now.requests - now.passed;
  const recent = rate ? rate.requests - rate.passed : 0;
  $('tiles').replaceChildren(
    tile('Hit ratio, now', rate ? percent(fresh(rate), recent) : '–'),
    tile('Hit ratio, in all', percent(fresh(now), looked)),
    tile('Requests per second', rate ? number(rate.requests) : '–'),
    tile('A hit, 99 %', stats.times.hit.count ? time(stats.times.hit.p99) : '–'),
    tile('A handler, 99 %', stats.times.fill.count ? time(stats.times.fill.p99) : '–'),
    tile('Time saved', time(now.saved)));
}

function drawChart() {
  const shown = results.filter((r) => history.some((h) => h[r] > 0));
  const most = Math.max(1, ...history.map((h) => Math.max(...results.map((r) => h[r]))));
  const x = (i) => 40 + (points - history.length + i) * 555 / (points - 1);
  const y = (v) => 145 - v * 130 / most;
  $('chart').replaceChildren(
    ...[0, 0.5, 1].map((part) => make('line', { class: 'axis', x1: 40, x2: 595, y1: y(most * part), y2: y(most * part) })),
    ...[0, 0.5, 1].map((part) => make('text', { x: 34, y: y(most * part) + 4, 'text-anchor': 'end' }, number(most * part))),
    ...shown.map((r) => make('polyline', {
      class: 'c' + results.indexOf(r),
      points: history.map((h, i) => x(i).toFixed(1) + ',' + y(h[r]).toFixed(1)).join(' '),
    })));
  $('legend').replaceChildren(...shown.map((r) => make('li', {},
    make('svg', { viewBox: '0 0 16 10', 'aria-hidden': 'true' },
      make('line', { class: 'c' + results.indexOf(r), x1: 0, x2: 16, y1: 5, y2: 5, 'stroke-width': 4 })), r)));
}

function drawTiers(stats) {
  $('tiers').replaceChildren(...(stats.tiers.length ? stats.tiers.map((t) => {
    const facts = [];
    if (t.entries >= 0) facts.push(number(t.entries) + ' entries');
    if (t.hits >= 0 && t.misses >= 0) facts.push(percent(t.hits, t.hits + t.misses) + ' of reads found');
    if (t.evicted >= 0) facts.push(number(t.evicted) + ' evicted for room');
    if (t.calls >= 0) facts.push(number(t.calls) + ' calls, ' + number(Math.max(t.failed, 0)) + ' failed');
    const head = make('p', {}, make('strong', {}, t.name), ' ');
    if (t.breaker) {
      head.append(make('span', { class: t.breaker === 'closed' ? 'good' : 'bad' },
        t.breaker === 'closed' ? 'available' : t.breaker === 'open' ? 'unavailable: handlers answer' : 'trying again'));
    }
    const parts = [head, make('p', {}, facts.join(', '))];
    if (t.bytes >= 0 && t.max_bytes > 0) {
      parts.push(make('progress', { max: t.max_bytes, value: t.bytes, 'aria-label': t.name + ', room used' }),
        make('p', {}, bytes(t.bytes) + ' of ' + bytes(t.max_bytes)));
    }
    return make('div', { class: 'tier' }, ...parts);
  }) : [make('p', { class: 'empty' }, 'The store reports nothing of itself.')]));
}

function drawHealth(stats) {
  const j = stats.journal;
  const journal = !j.shared ? make('span', {}, 'of this process alone, at number ' + j.number)
    : j.in_touch ? make('span', { class: 'good' }, 'in touch, at number ' + j.number)
      : make('span', { class: 'bad' }, 'out of touch: nothing stored is used');
  $('journal').replaceChildren('Journal of invalidations: ', journal);
  if (j.unsent > 0) $('journal').append(' ', make('span', { class: 'bad' }, j.unsent + ' invalidations are not sent yet'));
  const r = stats.runs;
  $('runs').textContent = r.fills + ' responses in the making (' + bytes(r.fill_bytes) + '), ' + r.refreshes +
    ' refreshes behind, ' + r.readers + ' long responses being read';
}

function drawTables(stats, now) {
  const rows = stats.series.filter((s) => s.requests > 0).sort((a, b) => b.requests - a.requests).slice(0, 30);
  table('results', [['Resource'], ['Result'], ['Reason'], ['Requests', true], ['Share', true], ['Bytes', true]],
    rows.map((s) => [s.resource || '–', s.result, s.reason || '–', number(s.requests), percent(s.requests, now.requests), bytes(s.bytes)]),
    'No request has come yet.');
  const names = { hit: 'A hit', fill: 'A handler, to its header', backend: 'The store’s server', age: 'Age of what was served' };
  table('times', [['Of'], ['Count', true], ['Mean', true], ['50 %', true], ['90 %', true], ['99 %', true]],
    Object.keys(names).filter((k) => stats.times[k].count > 0).map((k) => {
      const t = stats.times[k];
      return [names[k], number(t.count), time(t.mean), time(t.p50), time(t.p90), time(t.p99)];
    }), 'Nothing was timed yet.');
}

function drawTop(top) {
  table('misses', [['Page'], ['Runs', true], ['Time of handlers', true]],
    top.misses.map((p) => [p.page, number(p.count), time(p.took)]), 'No handler has run yet.');
  table('served', [['Page'], ['Hits', true], ['Time saved', true]],
    top.served.map((p) => [p.page, '≈ ' + number(p.count), time(p.took)]), 'Counted while this page is open: nothing yet.');
}

function draw(stats, top) {
  const now = totals(stats);
  let rate = null;
  if (before && stats.began === before.stats.began) {
    const seconds = (new Date(stats.now) - new Date(before.stats.now)) / 1000;
    rate = {};
    for (const k of Object.keys(now)) rate[k] = Math.max(0, now[k] - before.now[k]) / seconds;
    history.push(rate);
    if (history.length > points) history.shift();
  }
  before = { stats, now };
  drawTiles(stats, now, rate);
  drawChart();
  drawTiers(stats);
  drawHealth(stats);
  drawTables(stats, now);
  drawTop(top);
}

// ask returns the answer of the door, or throws an Error with what its problem says.
async function ask(path, options) {
  const response = await fetch(new URL(path, base), { cache: 'no-store', ...options });
  const text = await response.text();
  if (!response.ok) {
    let detail = response.status + ' ' + response.statusText;
    try { detail = JSON.parse(text).detail || detail; } catch { /* it was no problem of the door's */ }
    throw new Error(detail);
  }
  return text;
}

function say(text, bad) {
  $('state').textContent = text;
  $('state').className = bad ? 'bad' : '';
}

async function look() {
  try {
    const [stats, top] = await Promise.all([ask('stats'), ask('top?n=12')]);
    const s = JSON.parse(stats);
    draw(s, JSON.parse(top));
    const down = s.tiers.some((t) => t.breaker && t.breaker !== 'closed') || !s.journal.in_touch;
    say(down ? 'The store does not answer: handlers do.' : 'Live', down);
  } catch (e) {
    say('No answer: ' + e.message, true);
  }
  setTimeout(look, every);
}

$('look').addEventListener('submit', async (event) => {
  event.preventDefault();
  const out = $('explained');
  out.hidden = false;
  out.textContent = 'Looking…';
  try {
    out.textContent = await ask('explain?format=text&url=' + encodeURIComponent($('look-url').value));
  } catch (e) {
    out.textContent = e.message;
  }
});

// A purge is shown in words first, and happens at the second button.
let purge = null;

$('purge').addEventListener('submit', async (event) => {
  event.preventDefault();
  const kind = $('purge-kind').value, what = $('purge-what').value.trim(), soft = $('purge-soft').checked;
  $('purged').textContent = '';
  if (kind !== 'all' && !what) {
    $('purged').textContent = 'Say which.';
    $('purge-what').focus();
    return;
  }
  purge = { url: { url: what }, prefix: { prefix: what }, tags: { tags: what.split(/[\s,]+/) }, all: { all: true } }[kind];
  purge.soft = soft;
  const covers = {
    url: 'the page at ' + what + ': every variant, and whatever cookies or fields its keys have',
    prefix: 'every page at and below ' + what,
    tags: 'every page that has one of these tags: ' + what,
    all: 'everything that this cache has stored, in every process that shares its store',
  }[kind];
  $('covers-text').textContent = 'This makes ' + (soft ? 'stale ' : 'unusable ') + covers +
    '. Handlers make it anew when it is asked for. It cannot be undone.';
  $('covers').hidden = false;
  $('purge-now').focus();
});

$('purge-not').addEventListener('click', () => { $('covers').hidden = true; purge = null; $('purge-what').focus(); });

$('purge-now').addEventListener('click', async () => {
  $('covers').hidden = true;
  try {
    const done = JSON.parse(await ask('purge', {
      method: 'POST', body: JSON.stringify(purge), headers: { 'Content-Type': 'application/json', 'Freshet-Door': '1' },
    }));
    $('purged').textContent = 'Purged ' + done.purged + (done.unsent ? '. Other processes learn of it when the store answers again.'
      : ', as number ' + done.number + ' of the journal.');
  } catch (e) {
    $('purged').textContent = 'Not purged: ' + e.message;
  }
  purge = null;
});

$('look-url').value = location.origin + '/';
look();
