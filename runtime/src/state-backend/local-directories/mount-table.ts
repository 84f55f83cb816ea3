/** What is mounted where, read from the text of `/proc/self/mountinfo` (man 5 proc). */
export interface Mount {
  readonly mountPoint: string;
  /** The kernel's word for it: `ext4`, `nfs4`, `fuse.sshfs`. */
  readonly fileSystem: string;
  /** A device, `server:/path`, or whatever the file system calls its source. */
  readonly source: string;
}

/**
 * In the order of mounting. Undefined when a line is not understood: half a table would give a path to the wrong mount.
 *
 *     36 35 98:0 /root /mount/point rw,noatime [any number of fields] - ext3 /dev/root rw
 */
export function parseMountInfo(text: string): readonly Mount[] | undefined {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    if (line === '') {
      continue;
    }
    const separator = line.indexOf(' - ');
    const mountPoint = line.slice(0, separator).split(' ')[4];
    const [fileSystem, source] = line.slice(separator + 3).split(' ');
    if (separator < 0 || !mountPoint?.startsWith('/') || !fileSystem || source === undefined) {
      return undefined;
    }
    mounts.push({ mountPoint: decodeField(mountPoint), fileSystem, source: decodeField(source) });
  }
  return mounts;
}

/** The mount that an absolute path without symbolic links lies on; of several on one mount point the last hides the others. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    if (isWithin(path, mount.mountPoint) && mount.mountPoint.length >= (found?.mountPoint.length ?? 0)) {
      found = mount;
    }
  }
  return found;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

/** The kernel writes space, tab, newline, `#` and backslash as three octal digits. */
function decodeField(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
