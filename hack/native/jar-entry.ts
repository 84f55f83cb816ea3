import { readFileSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';

const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const stored = 0;
const deflated = 8;

/** One file out of a jar, which is a zip file. Enough of the format for that: no encryption, no files of 4 GiB. */
export function readJarEntry(jarFile: string, name: string): Buffer {
  const jar = readFileSync(jarFile);
  let at = jar.readUInt32LE(endOfDirectory(jar, jarFile) + 16);
  while (at + 46 <= jar.length && jar.readUInt32LE(at) === entrySignature) {
    const nameBytes = jar.readUInt16LE(at + 28);
    if (jar.toString('utf8', at + 46, at + 46 + nameBytes) === name) {
      return content(jar, {
        method: jar.readUInt16LE(at + 10),
        sizeBytes: jar.readUInt32LE(at + 20),
        headerAt: jar.readUInt32LE(at + 42),
      });
    }
    at += 46 + nameBytes + jar.readUInt16LE(at + 30) + jar.readUInt16LE(at + 32);
  }
  throw new Error(`${jarFile} has no ${name}`);
}

/** The directory's end is at the file's end, before a comment of at most 64 KiB. */
function endOfDirectory(jar: Buffer, jarFile: string): number {
  for (let at = jar.length - 22; at >= Math.max(0, jar.length - 22 - 0xffff); at--) {
    if (jar.readUInt32LE(at) === endSignature) {
      return at;
    }
  }
  throw new Error(`${jarFile} is not a jar`);
}

function content(jar: Buffer, entry: { method: number; sizeBytes: number; headerAt: number }): Buffer {
  const start = entry.headerAt + 30 + jar.readUInt16LE(entry.headerAt + 26) + jar.readUInt16LE(entry.headerAt + 28);
  const bytes = jar.subarray(start, start + entry.sizeBytes);
  if (entry.method === stored) {
    return bytes;
  }
  if (entry.method !== deflated) {
    throw new Error(`compression method ${entry.method} is not known`);
  }
  return inflateRawSync(bytes);
}
