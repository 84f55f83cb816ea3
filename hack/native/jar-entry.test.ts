import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { readJarEntry } from './jar-entry.ts';

const folder = mkdtempSync(join(tmpdir(), 'flinkjob-jar-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Entry {
  readonly name: string;
  readonly content: string;
  readonly method: number;
}

/** As much of a zip file as a reader looks at. */
function jarOf(entries: readonly Entry[], comment = ''): string {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, content, method } of entries) {
    const data = method === 8 ? deflateRawSync(content) : Buffer.from(content);
    const local = Buffer.alloc(30);
    local.writeUInt16LE(name.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(data.length, 20);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(at, 42);
    parts.push(local, Buffer.from(name), data);
    directory.push(central, Buffer.from(name));
    at += local.length + name.length + data.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt32LE(at, 16);
  const file = join(folder, `${Math.random()}.jar`);
  writeFileSync(file, Buffer.concat([...parts, ...directory, end, Buffer.from(comment)]));
  return file;
}

const entries = [
  { name: 'first', content: 'a'.repeat(1000), method: 8 },
  { name: 'second.so', content: 'as it is', method: 0 },
];

test('entries are found by name, deflated or stored, also before a comment', () => {
  const jar = jarOf(entries, 'made by hand');
  assert.equal(readJarEntry(jar, 'first').toString(), 'a'.repeat(1000));
  assert.equal(readJarEntry(jar, 'second.so').toString(), 'as it is');
});

test('what is not there, and what is no jar, is said', () => {
  assert.throws(() => readJarEntry(jarOf(entries), 'third'), /has no third/);
  const file = join(folder, 'page.html');
  writeFileSync(file, '<html>a proxy that wants a password</html>');
  assert.throws(() => readJarEntry(file, 'first'), /is not a jar/);
  assert.throws(() => readJarEntry(jarOf([{ name: 'first', content: 'x', method: 12 }]), 'first'), /method 12/);
});
