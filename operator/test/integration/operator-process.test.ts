import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { OperatorProcess } from '../fakes/operator-process.ts';

// `flinkjob-operator` as a process: its arguments, its end, and what it loads. In a cluster: kubernetes-operator.test.ts.

/** Writes to stderr what modules are loaded by a name that begins with `@kubernetes`. */
const tellOfKubernetesClient = `data:text/javascript,${encodeURIComponent(`
import { registerHooks } from 'node:module';
import { writeSync } from 'node:fs';
registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith('@kubernetes')) writeSync(2, 'loads ' + specifier);
    return next(specifier, context);
  },
});`)}`;

test('over local processes it starts, ends with 0 at SIGTERM, and never loads the client library of Kubernetes', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'operator-process-'));
  try {
    await using operator = new OperatorProcess(['--work-dir', directory], { nodeArgs: ['--import', tellOfKubernetesClient] });
    await operator.said('controller started');
    operator.signal('SIGTERM');
    assert.equal(await operator.ended(), 0, operator.text);
    assert.ok(operator.has('controller stopped'));
    assert.equal(operator.errors, '');
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test('a cluster that cannot be reached is said in words; an argument that it does not know ends it with 2', async () => {
  await using lost = new OperatorProcess(['--platform=kubernetes', '--kubeconfig=/no/such/file'], {
    nodeArgs: ['--import', tellOfKubernetesClient],
  });
  await using mistaken = new OperatorProcess(['--no-such-option']);
  assert.equal(await lost.ended(), 2);
  // The hook does see it.
  assert.match(lost.errors, /loads @kubernetes\/client-node/);
  assert.match(lost.errors, /NoClusterAccess: .*\/no\/such\/file/);
  assert.equal(await mistaken.ended(), 2);
  assert.match(mistaken.errors, /InvalidArguments: .*--no-such-option/);
});

test('--help says what can be said to it', async () => {
  await using operator = new OperatorProcess(['--help']);
  assert.equal(await operator.ended(), 0);
  assert.match(operator.text, /--http-address HOST:PORT/);
});
