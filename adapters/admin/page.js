// The page of the door: it asks /stats and /top every two seconds, and draws what has changed. It makes
// all of its elements itself, and puts in text as text: nothing that a client of the app has sent can
// become markup here.
'use strict';

const every = 2000;       // milliseconds between two looks
const longEvery = 15000;  // while nobody sees the page, whose title still tells of trouble
const patience = 10000;   // for one answer of the door
const span = 300;         // seconds that the charts show

// What becomes of requests. The first four spare a handler a whole response.
const results = ['hit', 'stale', 'collapsed', 'revalidated', 'stored', 'unstored', 'passed', 'refused',
  'refreshed'];
const meanings = {
  hit: 'from the store', stale: 'stale, from the store', collapsed: 'shared with another request',
  revalidated: 'the handler said that it still holds', stored: 'handler ran, response stored',
  unstored: 'handler ran, response not stored', passed: 'nothing for the cache', refused: 'no handler ran',
  refreshed: 'behind: no client asked',
};

const $ = (id) => document.getElementById(id);

// base is where the door is, without the user and the password that the page's address may have.
const base = location.origin + location.pathname;

// make returns an element with attributes and children, which are elements or texts.
function make(name, attributes, ...children) {
  const svg = ['svg', 'line', 'polyline', 'polygon', 'text'].includes(name);
  const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

// set puts a text in an element, unless it is there: screen readers tell of each change.
function set(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// plain shows the characters that draw nothing, or turn the direction of others, as a URL has them.
const plain = (text) => text.replace(
  /[\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
  encodeURIComponent);

// number writes a number with few digits: 12.3k.
function number(n) {
  if (n === 0) return '0';
  const units = ['', 'k', 'M', 'G', 'T'];
  let u = 0;
  while (Math.abs(n) >= 999.5 && u < units.length - 1) { n /= 1000; u++; }
  const digits = Math.abs(n) >= 100 || u === 0 && Number.isInteger(n) ? 0 : Math.abs(n) >= 10 ? 1 : 2;
  return n.toFixed(digits) + units[u];
}

const exact = (n) => n.toLocaleString('en');

function bytes(n) {
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

const clock = (at) => new Date(at).toLocaleTimeString('en-GB');
const percent = (part, whole) => whole > 0 ? (100 * part / whole).toFixed(1) + ' %' : '–';
const count = (n, one, many) => exact(n) + ' ' + (n === 1 ? one : many);

// What the door has answered, oldest first: {at, stats, sum}, of one run of the app. The older ones
// have no stats.
let samples = [];
let restarted = ''; // when the app has, in words
let last = null;    // when it answered last

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

// between returns what has come from one sum to a later one, or all that has come where there is no earlier.
function between(from, to) {
  const d = {};
  for (const k of Object.keys(to)) d[k] = Math.max(0, to[k] - (from ? from[k] : 0));
  return d;
}

const spared = (t) => t.hit + t.stale + t.collapsed + t.revalidated;
const looked = (t) => t.requests - t.passed - t.refreshed;

// ago returns the newest sample that is at least so many seconds old, or else the oldest.
function ago(seconds) {
  const now = samples[samples.length - 1].at;
  return samples.findLast((s) => now - s.at >= seconds * 1000) || samples[0];
}

// lately returns how many times were taken in the last minute, and their mean.
function lately(of) {
  const from = ago(60).stats.times[of], to = samples[samples.length - 1].stats.times[of];
  const n = to.count - from.count;
  return n > 0 ? { count: n, mean: (to.count * to.mean - from.count * from.mean) / n } : { count: 0, mean: 0 };
}

// troubles returns what is wrong, the worst first: [class, what, what it means].
function troubles(stats, now) {
  const all = [];
  const j = stats.journal;
  for (const t of stats.tiers) {
    const old = ago(60).stats.tiers.find((o) => o.name === t.name);
    if (t.breaker === 'open') {
      all.push(['bad', t.name + ' does not answer.', 'Its breaker is open: handlers make what it holds, and it is ' +
        'tried again now and then. Look at the server, and at the app’s log.']);
    } else if (t.breaker && t.breaker !== 'closed') {
      all.push(['warn', t.name + ' is tried again.', 'It did not answer; its breaker lets a few requests through.']);
    } else if (old && t.failed > old.failed) {
      all.push(['warn', t.name + ' fails now and then.', exact(t.failed - old.failed) + ' of ' +
        count(t.calls - old.calls, 'call', 'calls') + ' failed in the last minute. The app’s log says how.']);
    }
  }
  if (j.shared && !j.in_touch) {
    all.push(['bad', 'The journal of invalidations is out of touch.', (j.lag < 0 ? 'It has never answered. ' :
      'It last answered ' + time(j.lag) + ' ago. ') + 'Handlers answer, and nothing stored is used until it does: it may have a purge.']);
  }
  if (j.shared && j.in_touch && j.max_lag > 0 && j.lag > 0.75 * j.max_lag) {
    all.push(['warn', 'The journal of invalidations is late.', 'It last answered ' + time(j.lag) + ' ago. After ' +
      time(j.max_lag) + ' (MaxLag) nothing stored is used until it does.']);
  }
  if (j.shared && j.in_touch && j.floor > 0) {
    all.push(['warn', 'After an outage, old pages are not used yet.', count(j.awaits.length, 'process', 'processes') +
      ' may have invalidated something meanwhile, and must be heard first, or for 30 s: ' +
      j.awaits.slice(0, 5).map((m) => m.name).join(', ') + '.']);
  }
  if (j.unsent > 0) {
    all.push(['warn', count(j.unsent, 'invalidation is', 'invalidations are') + ' not sent yet.',
      'Other processes learn of them when the journal answers.']);
  }
  const minute = between(ago(60).sum, now);
  const ratio = spared(minute) / looked(minute), usual = spared(now) / looked(now);
  if (looked(minute) >= 50 && usual >= 0.2 && ratio < usual / 2) {
    all.push(['warn', 'The hit ratio fell to ' + percent(ratio, 1) + '.', 'It is ' + percent(usual, 1) +
      ' in all. The results and reasons below say what became of requests.']);
  }
  const fill = lately('fill'), fills = stats.times.fill;
  if (fill.count >= 5 && fill.mean > 0.1 && fill.mean > 4 * fills.mean) {
    all.push(['warn', 'Handlers are slow: their mean is ' + time(fill.mean) + '.', 'It is ' + time(fills.mean) +
      ' in all. The pages that cost most are below.']);
  }
  return all.sort((a, b) => (a[0] === 'bad' ? 0 : 1) - (b[0] === 'bad' ? 0 : 1));
}

// drawState says at the top, in the colour of the page and in its title, how things are.
function drawState(all) {
  const worst = all.length ? all[0][0] : 'good';
  document.body.dataset.state = worst;
  document.title = ({ bad: '✖ ', warn: '! ' }[worst] || '') + 'Freshet · ' + location.host;
  const lines = (all.length ? all : [['good', 'All is well.', '']]).concat(
    restarted ? [['note', restarted, 'Counts begin anew.']] : []);
  const words = (list) => list.map((line) => line.join().replace(/[\d.,]+/g, '')).join();
  if (words(lines) === words(drawState.drawn || [])) { // numbers alone are no news for a screen reader
    $('state').querySelectorAll('strong').forEach((e, i) => set(e, lines[i][1]));
    $('state').querySelectorAll('.more').forEach((e, i) => set(e, lines[i][2]));
    return;
  }
  drawState.drawn = lines;
  $('state').replaceChildren(...lines.map(([kind, what, more]) => make('p', { class: kind },
    make('span', { class: 'mark', 'aria-hidden': 'true' }, { bad: '✖', warn: '!', good: '✔', note: 'i' }[kind]),
    make('span', {}, make('strong', {}, what), ' ', make('span', { class: 'more' }, more)))));
}

function tile(title, value, more) {
  return make('div', {}, make('dt', {}, title), make('dd', {}, value, make('small', {}, more)));
}

function drawTiles(stats, now, rate) {
  const spread = (of) => stats.times[of].count
    ? 'mean of the last minute; 99 % within ' + time(stats.times[of].p99) + ' in all' : 'none yet';
  const mean = (of) => lately(of).count ? time(lately(of).mean) : '–';
  $('tiles').replaceChildren(
    tile('Hit ratio', rate ? percent(spared(rate), looked(rate)) : '–',
      percent(spared(now), looked(now)) + ' in all'),
    tile('Requests a second', rate ? number(rate.requests - rate.refreshed) : '–',
      exact(now.requests - now.refreshed) + ' in all'),
    tile('A hit takes', mean('hit'), spread('hit')),
    tile('A handler takes', mean('fill'), spread('fill')),
    ...(stats.times.backend.count ? [tile('The store takes', mean('backend'), spread('backend'))] : []),
    tile('In the making', number(stats.runs.fills), number(stats.runs.refreshes) + ' refreshes'),
    tile('Saved by hits', time(now.saved), 'time of handlers'));
}

// rates are the requests per second between each two samples that were taken one after the other.
function rates() {
  const all = [];
  for (let i = 1; i < samples.length; i++) {
    const seconds = (samples[i].at - samples[i - 1].at) / 1000;
    const r = between(samples[i - 1].sum, samples[i].sum);
    for (const k of Object.keys(r)) r[k] /= seconds;
    all.push({ at: samples[i].at, ...r });
  }
  return all;
}

// chart returns where things are in a chart whose SVG has this id, as wide as it is on the screen,
// and its axes: lines at fractions of its height, each with its text. It shows a minute at least.
function chart(id, texts) {
  const left = 48, width = Math.max(200, $(id).clientWidth), right = width - 4, top = 12, bottom = 142;
  const to = samples[samples.length - 1].at, shown = Math.max(60, (to - samples[0].at) / 1000);
  $(id).setAttribute('viewBox', '0 0 ' + width + ' 170');
  const c = {
    x: (at) => (right - (right - left) * (to - at) / (shown * 1000)).toFixed(1),
    y: (part) => (bottom - part * (bottom - top)).toFixed(1),
    axes: [],
  };
  for (const [part, text] of texts) {
    c.axes.push(make('line', { class: 'axis', x1: left, x2: right, y1: c.y(part), y2: c.y(part) }),
      make('text', { x: left - 6, y: +c.y(part) + 4, 'text-anchor': 'end' }, text));
  }
  c.axes.push(make('text', { x: left, y: bottom + 18 }, time(shown) + ' ago'),
    make('text', { x: right, y: bottom + 18, 'text-anchor': 'end' }, 'now'));
  return c;
}

// drawTraffic stacks the results: what the store answered below, what handlers had to make above.
function drawTraffic(points) {
  const shown = results.filter((r) => points.some((p) => p[r] > 0));
  const most = Math.max(1, ...points.map((p) => p.requests));
  const c = chart('traffic', [[0, '0'], [0.5, number(most / 2)], [1, number(most)]]);
  const below = points.map(() => 0);
  const layers = shown.map((r) => {
    const floor = points.map((p, i) => c.x(p.at) + ',' + c.y(below[i] / most)).reverse();
    const roof = points.map((p, i) => c.x(p.at) + ',' + c.y((below[i] += p[r]) / most));
    return make('polygon', { class: 'c-' + r, points: roof.concat(floor).join(' ') });
  });
  $('traffic').replaceChildren(...c.axes, ...layers);
  const newest = points[points.length - 1];
  $('traffic').setAttribute('aria-label', newest ? shown.map((r) => r + ' ' + number(newest[r])).join(', ') +
    ' a second' : 'Nothing yet');
  $('legend').replaceChildren(...shown.map((r) => make('li', { title: meanings[r] },
    make('span', { class: 'swatch c-' + r, 'aria-hidden': 'true' }), r + ' ' + number(newest[r]))));
}

function drawRatio(points) {
  const some = points.filter((p) => looked(p) > 0);
  const c = chart('ratio', [[0, '0'], [0.5, '50 %'], [1, '100 %']]);
  $('ratio').replaceChildren(...c.axes, make('polyline', {
    points: some.map((p) => c.x(p.at) + ',' + c.y(spared(p) / looked(p))).join(' '),
  }));
  const newest = some[some.length - 1];
  $('ratio').setAttribute('aria-label',
    newest ? 'Hit ratio ' + percent(spared(newest), looked(newest)) : 'Nothing yet');
}

function drawCharts() {
  if (samples.length === 0) return;
  const points = rates();
  drawTraffic(points);
  drawRatio(points);
}

const breakers = {
  closed: ['good', '✔ answers'], open: ['bad', '✖ does not answer'], 'half-open': ['warn', '! is tried again'],
};

// answersOf says whether a tier answers. While the journal on its server does not, a closed breaker
// tells nothing of the rest: a Cache that is out of touch asks for no values.
function answersOf(t, journal) {
  if (t.breaker !== 'closed' || !t.journal_lost) return breakers[t.breaker] || ['warn', t.breaker];
  return ['bad', '✖ journal lost since ' + clock(t.journal_lost) +
    (journal.in_touch ? '' : ': handlers answer')];
}

function drawTiers(stats) {
  $('tiers').replaceChildren(...(stats.tiers.length ? stats.tiers.map((t) => {
    const head = make('p', {}, make('strong', {}, t.name));
    if (t.breaker) {
      const [kind, text] = answersOf(t, stats.journal);
      head.append(' ', make('span', { class: kind }, text));
    }
    const parts = [head], facts = [];
    if (t.bytes >= 0 && t.max_bytes > 0) {
      parts.push(make('progress', { max: t.max_bytes, value: t.bytes, 'aria-label': 'Room used in ' + t.name }));
      facts.push(bytes(t.bytes) + ' of ' + bytes(t.max_bytes));
    } else if (t.bytes >= 0) facts.push(bytes(t.bytes));
    if (t.entries >= 0) facts.push(count(t.entries, 'entry', 'entries'));
    if (t.hits >= 0 && t.misses >= 0) facts.push(percent(t.hits, t.hits + t.misses) + ' of reads found');
    if (t.evicted > 0) facts.push(exact(t.evicted) + ' evicted for room');
    if (t.calls >= 0) facts.push(count(t.calls, 'call', 'calls') + ', ' + exact(Math.max(t.failed, 0)) + ' failed');
    if (t.rejected > 0) facts.push(exact(t.rejected) + ' not tried');
    parts.push(make('p', { class: 'quiet' }, facts.join(' · ')));
    const shut = Object.entries(t.encryption_faults).filter(([, n]) => n > 0);
    if (shut.length) {
      parts.push(make('p', { class: 'bad' }, 'Did not open: ' + shut.map(([cause, n]) => exact(n) + ' '
        + cause.replace('-', ' ')).join(', ')));
    }
    return make('div', { class: 'tier' }, ...parts);
  }) : [make('p', { class: 'quiet' }, 'The store reports nothing of itself.')]));
}

function drawHealth(stats) {
  const j = stats.journal, r = stats.runs;
  const fact = (name, ...value) => make('div', {}, make('dt', {}, name), make('dd', {}, ...value));
  $('health').replaceChildren(
    fact('Journal', !j.shared ? 'of this process alone'
      : j.in_touch ? make('span', { class: 'good' }, '✔ in touch')
        : make('span', { class: 'bad' }, '✖ out of touch'),
    j.shared && j.lag >= 0 ? ', heard ' + time(j.lag) + ' ago' : ''),
    fact('Its number', String(j.number)),
    ...j.members.length ? [fact('Who follows it', count(j.members.length, 'process', 'processes'))] : [],
    fact('Not sent', j.unsent ? make('span', { class: 'warn' }, count(j.unsent, 'invalidation', 'invalidations'))
      : 'nothing'),
    fact('In the making', count(r.fills, 'response', 'responses') + ', ' + bytes(r.fill_bytes)),
    fact('Refreshes behind', exact(r.refreshes)),
    fact('Long responses', exact(r.readers) + ' being read, ' + bytes(r.read_bytes) + ' held'));
}

// inUse reports whether the operator is at an element: the focus is in it, or a selection.
function inUse(e) {
  const s = getSelection();
  return e.contains(document.activeElement) || !s.isCollapsed && e.contains(s.anchorNode);
}

// table fills a table: columns are [title, class], rows are lists of texts or elements. What its
// operator is at stays as it is.
function table(id, columns, rows, none) {
  if (inUse($(id))) return;
  const cell = (name, i, more, content) => make(name, { class: columns[i][1] || '', ...more }, content);
  const body = rows.length === 0
    ? [make('tr', {}, make('td', { colspan: columns.length, class: 'quiet' }, none))]
    : rows.map((row) => make('tr', {}, ...row.map((content, i) => cell('td', i, {}, content))));
  $(id).replaceChildren(
    make('thead', {}, make('tr', {}, ...columns.map(([title], i) => cell('th', i, { scope: 'col' }, title)))),
    make('tbody', {}, ...body));
}

const shownSeries = 20;

function drawTables(stats, now) {
  const from = ago(60).stats.series;
  const all = stats.series.filter((s) => s.requests > 0).sort((a, b) => b.requests - a.requests);
  const rows = all.slice(0, shownSeries).map((s) => {
    const old = from.find((o) => o.resource === s.resource && o.result === s.result && o.reason === s.reason);
    const result = make('span', {}, make('span', { class: 'name' },
      make('span', { class: 'swatch c-' + s.result, 'aria-hidden': 'true' }), s.result),
    make('small', {}, meanings[s.result]));
    return [result, plain(s.reason) || '–', plain(s.resource) || '–', exact(s.requests - (old ? old.requests : 0)),
      exact(s.requests), percent(s.requests, now.requests), bytes(s.bytes)];
  });
  if (all.length > rows.length) rows.push(['and ' + exact(all.length - rows.length) + ' more', '', '', '', '', '', '']);
  table('results', [['Result'], ['Reason'], ['Resource', 'roomy long'], ['Last minute', 'number'],
    ['In all', 'number roomy'], ['Share', 'number'], ['Bytes', 'number roomy']], rows, 'No request has come yet.');
  const names = {
    hit: 'A hit', fill: 'A handler, to its header', backend: 'The store’s server', age: 'Age when served',
  };
  table('times', [['Of'], ['Mean, last minute', 'number'], ['Mean', 'number roomy'], ['50 %', 'number'],
    ['90 %', 'number roomy'], ['99 %', 'number'], ['Count', 'number roomy']],
  Object.keys(names).filter((k) => stats.times[k].count > 0).map((k) => {
    const t = stats.times[k], now = lately(k);
    return [names[k], now.count ? time(now.mean) : '–', time(t.mean), time(t.p50), time(t.p90), time(t.p99),
      exact(t.count)];
  }), 'Nothing was timed yet.');
}

// page returns the name of a page, which fills in the form that explains it.
function page(name) {
  const cut = name.indexOf('/');
  const host = name.slice(0, cut), path = name.slice(cut);
  const b = make('button', { type: 'button', class: 'page' },
    make('bdi', {}, plain(host === location.host ? path : name)));
  b.addEventListener('click', () => {
    const escaped = path.replace(/[\u0000-\u0020%?#\\\u007f]/g, encodeURIComponent);
    let url = location.protocol + '//' + host + escaped;
    try { url = new URL(url).href; } catch { /* the door says what is wrong with it */ }
    $('look-url').value = url;
    $('look').requestSubmit();
  });
  return b;
}

function drawTop(top) {
  table('misses', [['Page', 'long'], ['Runs', 'number'], ['Time', 'number']],
    top.misses.map((p) => [page(p.page), number(p.count), time(p.took)]), 'No handler has run yet.');
  table('served', [['Page', 'long'], ['Hits', 'number'], ['Time saved', 'number']],
    top.served.map((p) => [page(p.page), '≈ ' + number(p.count), time(p.took)]),
    'Nothing yet. One of 16 hits is counted while this page is open.');
}

// draw draws what the door has answered.
function draw(stats, top) {
  const now = totals(stats), at = +new Date(stats.now), before = samples[samples.length - 1];
  if (before && before.stats.began !== stats.began) {
    samples = [];
    restarted = 'The app has restarted at ' + clock(stats.began) + '.';
  }
  samples.push({ at, stats, sum: now });
  samples = samples.filter((s) => at - s.at <= span * 1000);
  const needed = ago(60).at; // of what is older, the charts need the sums alone
  for (const s of samples) if (s.at < needed) s.stats = null;
  const from = ago(10);
  let rate = null;
  if (from.at < at) {
    rate = between(from.sum, now);
    for (const k of Object.keys(rate)) rate[k] /= (at - from.at) / 1000;
  }
  set($('where'), location.host + ', counted since ' + clock(stats.began) + ' (' +
    time((at - new Date(stats.began)) / 1000) + ')');
  drawState(troubles(stats, now));
  drawTiles(stats, now, rate);
  drawCharts();
  drawTiers(stats);
  drawHealth(stats);
  drawTables(stats, now);
  drawTop(top);
  document.body.dataset.drawn = +(document.body.dataset.drawn || 0) + 1;
}

// ask returns the answer of the door, or throws an Error with what its problem says. With the field
// Freshet-Door, a door that refuses the token has the browser ask the operator for none.
async function ask(path, options) {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), patience);
  try {
    const response = await fetch(new URL(path, base), {
      cache: 'no-store', signal: giveUp.signal, headers: { 'Freshet-Door': '1' }, ...options,
    });
    const text = await response.text();
    if (response.ok) return text;
    let detail = response.status + ' ' + response.statusText;
    try { detail = JSON.parse(text).detail || detail; } catch { /* it is no problem of the door's */ }
    throw Object.assign(new Error(detail), { status: response.status });
  } catch (e) {
    if (e.status) throw e;
    throw new Error(giveUp.signal.aborted ? 'no answer within ' + time(patience / 1000) : 'it cannot be reached');
  } finally {
    clearTimeout(timer);
  }
}

let timer = 0;
let looking = false;

// look asks and draws, and does so again after a while: a longer one when the door refuses the token.
async function look() {
  if (looking) return;
  looking = true;
  let next = every;
  try {
    const [stats, top] = await Promise.all([ask('stats'), ask('top?n=12')]);
    last = Date.now();
    draw(JSON.parse(stats), JSON.parse(top));
  } catch (e) {
    const since = last ? ' What you see is from ' + clock(last) + '.' : '';
    if (e.status === 401) {
      next = longEvery;
      drawState([['bad', 'The door does not accept your token any more.', 'Log in with the new one.' + since]]);
      const login = make('button', { type: 'button' }, 'Log in');
      login.addEventListener('click', () => location.assign(base));
      if (!$('state').querySelector('button')) $('state').append(login);
    } else {
      drawState([['bad', 'The app does not answer:', e.message + '.' + since]]);
    }
  }
  looking = false;
  timer = setTimeout(look, document.hidden ? longEvery : next);
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden || looking) return;
  clearTimeout(timer);
  look();
});

addEventListener('resize', drawCharts);

// whole returns the URL that an operator means: a path is one of this host.
const whole = (text) => text.trim().startsWith('/') ? location.origin + text.trim() : text.trim();

// wrong says what is wrong with a field, or, without a text, that nothing is.
function wrong(form, field, text) {
  $(form + '-wrong').textContent = text;
  $(field).setAttribute('aria-invalid', text ? 'true' : 'false');
  if (text) $(field).focus();
}

// explain asks the door why a page is cached or not.
async function explain(url, fields, fetch) {
  const q = new URLSearchParams({ url });
  for (const line of fields.split('\n')) if (line.trim()) q.append('header', line.trim());
  if (fetch) q.append('fetch', '1');
  return JSON.parse(await ask('explain?' + q));
}

// drawExplanation shows the verdict first, then what to do, then what it rests on.
function drawExplanation(x) {
  const titles = {
    request: 'The request', key: 'The key', stored: 'What is stored', response: 'The response', status: 'The status',
    exchange: 'The exchange',
  };
  const source = (f) => [f.source, f.rfc].filter(Boolean).map(plain).join('; ');
  $('explained').replaceChildren(
    make('p', { class: 'quiet page' }, make('bdi', {}, plain(x.request))),
    make('p', { class: 'verdict' }, plain(x.verdict)),
    ...(x.advice ? [make('p', { class: 'advice' }, plain(x.advice))] : []),
    make('p', { class: 'quiet' }, 'Cache-Status: ', make('code', {}, plain(x.outcome || '–')),
      x.rfc ? ' · ' + x.rfc : ''),
    ...(x.sections || []).flatMap((s) => [
      make('h3', {}, (titles[s.name] || s.name) + (s.mount ? ' (mount ' + plain(s.mount) + ')' : '')),
      make('dl', { class: 'facts' }, ...(s.facts || []).map((f) => make('div', {}, make('dt', {}, plain(f.what)),
        make('dd', {}, make('bdi', {}, plain(f.value)), source(f) ? make('small', {}, source(f)) : '',
          f.advice ? make('span', { class: 'advice' }, plain(f.advice)) : '')))),
    ]));
  $('explained').hidden = false;
  $('explained').focus();
}

$('look').addEventListener('submit', async (event) => {
  event.preventDefault();
  $('explained').hidden = true;
  const url = whole($('look-url').value);
  wrong('look', 'look-url', url ? '' : 'Say which page: a URL, or a path of this host.');
  if (!url) return;
  try {
    drawExplanation(await explain(url, $('look-fields').value, $('look-fetch').checked));
  } catch (e) {
    wrong('look', 'look-url', e.message);
  }
});

// What is to be purged, once its cover was shown.
let purge = null;

function hideCovers() {
  purge = null;
  $('covers').hidden = true;
}

$('purge-kind').addEventListener('change', () => {
  const kind = $('purge-kind').value;
  set($('purge-label'), kind === 'tags' ? 'Tags, with spaces between' : 'URL or path');
  $('purge-what').disabled = kind === 'all';
  hideCovers();
});
for (const id of ['purge-what', 'purge-soft']) $(id).addEventListener('input', hideCovers);

// covers returns what a purge covers: a sentence, and what is known of it now. It throws what is
// wrong with the URL.
async function covers(kind, what) {
  const stats = samples.length ? samples[samples.length - 1].stats : null;
  if (kind === 'all') {
    return ['everything that this cache has stored, in every process that shares its store',
      stats ? stats.tiers.filter((t) => t.entries >= 0).map((t) => t.name + ' holds ' +
        count(t.entries, 'entry', 'entries') + (t.bytes >= 0 ? ', ' + bytes(t.bytes) : '')) : []];
  }
  if (kind === 'tags') {
    return ['every page that has one of these tags: ' + what.join(', '),
      ['How many these are is known when they are asked for: a purge of a tag looks at no page.']];
  }
  const x = await explain(what, '', false);
  if (kind === 'url') {
    return ['the page at ' + what + ': every variant, whatever cookies or fields its keys have', ['Now, for a ' +
      'visitor without cookies: ' + x.verdict + (x.outcome ? ' (' + x.outcome + ')' : '')]];
  }
  const { host, pathname } = new URL(what);
  const top = JSON.parse(await ask('top?n=256'));
  const ranked = new Set([...top.misses, ...top.served].map((p) => p.page));
  const names = [...ranked].filter((p) => p.startsWith(host + pathname));
  return ['every page whose URL begins with ' + what, [names.length === 0
    ? 'None of the pages that cost or are served most is among them.'
    : exact(names.length) + ' of the pages that cost or are served most: ' + names.slice(0, 5).join(', ') +
      (names.length > 5 ? ', …' : '')]];
}

$('purge').addEventListener('submit', async (event) => {
  event.preventDefault();
  hideCovers();
  const kind = $('purge-kind').value, text = $('purge-what').value, soft = $('purge-soft').checked;
  const what = kind === 'tags' ? text.split(/[\s,]+/).filter(Boolean) : whole(text);
  $('purged').textContent = '';
  wrong('purge', 'purge-what', kind === 'all' || what.length ? '' : kind === 'tags' ? 'Say which tags.'
    : 'Say which: a URL, or a path of this host.');
  if (kind !== 'all' && !what.length) return;
  try {
    const [sentence, facts] = await covers(kind, what);
    purge = { url: { url: what }, prefix: { prefix: what }, tags: { tags: what }, all: { all: true } }[kind];
    purge.soft = soft;
    $('covers-text').textContent = plain('This makes ' + (soft ? 'stale ' : 'unusable ') + sentence +
      '. Handlers make it anew when it is asked for. It cannot be undone.');
    $('covers-facts').replaceChildren(...facts.map((f) => make('li', {}, make('bdi', {}, plain(f)))));
    $('covers').hidden = false;
    $('covers').focus();
  } catch (e) {
    wrong('purge', 'purge-what', e.message);
  }
});

$('purge-not').addEventListener('click', () => {
  hideCovers();
  ($('purge-kind').value === 'all' ? $('purge-kind') : $('purge-what')).focus();
});

$('purge-now').addEventListener('click', async () => {
  const body = JSON.stringify(purge);
  hideCovers();
  $('purge-kind').focus();
  try {
    const done = JSON.parse(await ask('purge', { method: 'POST', body }));
    $('purged').textContent = plain('Purged ' + done.purged + (done.unsent
      ? '. Other processes learn of it when the store answers again.'
      : ', as number ' + done.number + ' of the journal.'));
  } catch (e) {
    $('purged').textContent = plain('Not purged: ' + e.message);
  }
});

$('look-url').value = location.origin + '/';
look();
