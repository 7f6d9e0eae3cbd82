// Names what is wrong with ECS documents, a line of JSON each, by Elastic's published schema.
const { EcsFlat } = require('@elastic/ecs');
const is = {
  keyword: v => typeof v === 'string', wildcard: v => typeof v === 'string',
  match_only_text: v => typeof v === 'string', long: v => Number.isInteger(v),
  ip: v => require('net').isIP(v) !== 0, date: v => !Number.isNaN(Date.parse(v)),
};
const check = (name, value) => {
  const field = EcsFlat[name];
  if (!field) return console.log(`${name}: no such field`);
  const many = (field.normalize || []).includes('array');
  if (Array.isArray(value) !== many) return console.log(`${name}: a list or not`);
  for (const one of many ? value : [value]) {
    if (!is[field.type](one)) console.log(`${name}: ${one} is no ${field.type}`);
    const allowed = field.allowed_values;
    if (allowed && allowed.length && !allowed.some(v => v.name === one)) console.log(`${name}: ${one}`);
  }
};
const walk = (at, value) => {
  for (const [key, inner] of Object.entries(value)) {
    const name = at ? `${at}.${key}` : key;
    if (name === 'labels') {
      for (const label of Object.values(inner)) if (!is.keyword(label)) console.log(`label ${label}`);
    } else if (typeof inner === 'object' && !Array.isArray(inner)) walk(name, inner);
    else check(name, inner);
  }
};
for (const line of require('fs').readFileSync(0, 'utf8').trim().split('\n')) {
  const document = JSON.parse(line);
  walk('', document);
  const of = EcsFlat['event.category'].allowed_values.find(v => v.name === document.event.category[0]);
  for (const type of document.event.type) {
    if (!of.expected_event_types.includes(type)) console.log(`${document.event.action}: ${of.name}, ${type}`);
  }
}
