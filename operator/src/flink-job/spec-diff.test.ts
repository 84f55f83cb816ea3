import assert from 'node:assert/strict';
import { test } from 'node:test';
import { revisionWith, type SpecChoices } from '../../test/fakes/flink-job-builders.ts';
import { diffRevisions, type SpecDiff } from './spec-diff.ts';

// What a change means for a running job. That every field has a meaning is tested beside the schema.

const changes: readonly (readonly [string, SpecChoices, SpecChoices, SpecDiff['action']])[] = [
  ['nothing', {}, {}, 'None'],
  ['parallelism', {}, { job: { parallelism: 2 } }, 'Scale'],
  ['an argument', {}, { job: { args: { a: 'b' } } }, 'Restart'],
  ['parallelism and an argument', {}, { job: { parallelism: 2, args: { a: 'b' } } }, 'Restart'],
  ['the upgrade mode', {}, { upgrade: { mode: 'LastState' } }, 'None'],
  ['the desired state', {}, { job: { desiredState: 'Suspended' } }, 'None'],
  ['state that may be dropped', {}, { restore: { allowDroppedState: ['a'] } }, 'None'],
  ['a request for empty state', {}, { restore: { from: 'None' } }, 'Restore'],
  ['the same request again', { restore: { from: 'None' } }, { restore: { from: 'None' } }, 'None'],
  ['a request under another token', { restore: { from: 'None' } }, { restore: { from: 'None', token: 'b' } }, 'Restore'],
  ['a request that is taken back', { restore: { from: 'None' } }, {}, 'None'],
  ['another path', { restore: { from: 'Path', path: 'chk-1-e1' } }, { restore: { from: 'Path', path: 'chk-2-e1' } }, 'Restore'],
];

for (const [name, before, after, action] of changes) {
  test(`a change of ${name} means ${action}`, () => {
    assert.equal(diffRevisions(revisionWith(before), revisionWith(after)).action, action);
  });
}

test('another module content is a restart, an unknown one is no change', () => {
  assert.equal(diffRevisions(revisionWith({}, 'one'), revisionWith({}, 'two')).action, 'Restart');
  assert.equal(diffRevisions(revisionWith({}, 'one'), revisionWith({})).action, 'None');
});

test('a revision is named by what runs, not by how it is changed', () => {
  const name = revisionWith().name;
  assert.equal(revisionWith({ upgrade: { mode: 'LastState' } }).name, name);
  assert.equal(revisionWith({ job: { desiredState: 'Suspended' } }).name, name);
  assert.notEqual(revisionWith({ job: { args: { a: 'b' } } }).name, name);
  assert.notEqual(revisionWith({}, 'digest').name, name);
});
