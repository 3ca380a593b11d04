// SPDX-License-Identifier: MIT
// A strict reader of Prometheus' text format, version 0.0.4: whatever it does not know is an error.
import assert from 'node:assert/strict';

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const HELP = new RegExp(`^# HELP (${NAME}) (.*)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`);
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const SAMPLE = new RegExp(`^(${NAME})(\\{(?:${LABEL})(?:,${LABEL})*\\})? (-?[0-9.]+(?:e[-+]?[0-9]+)?|[-+]Inf|NaN)$`);

// The family a sample belongs to: the histogram's own name for its parts.
function familyOf(name, types) {
  const base = name.replace(/_(bucket|sum|count)$/, '');
  return types.get(base) === 'histogram' ? base : name;
}

// { types: Map(name → kind), helps: Map, samples: Map(name with labels → number) }
export function parseMetrics(text) {
  assert.ok(text.endsWith('\n'), 'the last line has an end');
  const types = new Map();
  const helps = new Map();
  const samples = new Map();
  let family = null;
  for (const line of text.slice(0, -1).split('\n')) {
    const help = HELP.exec(line);
    const type = TYPE.exec(line);
    if (help) {
      assert.ok(!helps.has(help[1]), `help twice: ${line}`);
      helps.set(help[1], help[2]);
    } else if (type) {
      assert.ok(!types.has(type[1]), `type twice: ${line}`);
      types.set(type[1], type[2]);
      family = type[1];
    } else {
      const sample = SAMPLE.exec(line);
      assert.ok(sample, `not a line of the format: ${line}`);
      assert.equal(familyOf(sample[1], types), family, `a sample apart from its family: ${line}`);
      const key = sample[1] + (sample[2] ?? '');
      assert.ok(!samples.has(key), `a sample twice: ${line}`);
      samples.set(key, sample[3] === '+Inf' ? Infinity : Number(sample[3]));
    }
  }
  return { types, helps, samples };
}
