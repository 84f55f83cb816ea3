/** An archive that every tar reads (POSIX ustar), of files that are small enough to be held. */

export interface TarFile {
  /** At most 100 bytes, or 255 with a slash at the right place. */
  readonly name: string;
  readonly content: string;
}

const blockSizeBytes = 512;

export function tarArchive(files: readonly TarFile[], mtimeSeconds = Math.floor(Date.now() / 1000)): Buffer {
  const blocks = files.flatMap(({ name, content }) => {
    const bytes = Buffer.from(content);
    return [header(name, bytes.length, mtimeSeconds), bytes, Buffer.alloc(padding(bytes.length))];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockSizeBytes)]);
}

function padding(sizeBytes: number): number {
  return (blockSizeBytes - (sizeBytes % blockSizeBytes)) % blockSizeBytes;
}

function header(path: string, sizeBytes: number, mtimeSeconds: number): Buffer {
  const { prefix, name } = splitName(path);
  const block = Buffer.alloc(blockSizeBytes);
  block.write(name, 0);
  block.write(octal(0o644, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(sizeBytes, 11), 124);
  block.write(octal(mtimeSeconds, 11), 136);
  // The sum is made with spaces in its own place.
  block.write('        ', 148);
  block.write('0', 156);
  block.write('ustar\u000000', 257);
  block.write(prefix, 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

function splitName(path: string): { readonly prefix: string; readonly name: string } {
  if (Buffer.byteLength(path) <= 100) {
    return { prefix: '', name: path };
  }
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100) {
      return { prefix, name };
    }
  }
  throw new Error(`${path} is too long for a name in an archive`);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}
