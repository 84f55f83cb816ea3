/** Local directories of a TaskManager with real directories and processes; mount tables are given as text. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, link, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { JobError } from '../../core/job-error.ts';
import { openWorkingDirectories, type WorkingDirectories, type WorkingDirectoryOptions } from './working-directories.ts';

async function temporary(context: TestContext): Promise<string> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'working-directories-')));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function open(
  context: TestContext,
  localDirectories: readonly string[],
  options: Partial<WorkingDirectoryOptions> = {},
): Promise<WorkingDirectories> {
  const opened = await openWorkingDirectories({ localDirectories, taskManagerId: 'tm-1', ...options });
  context.after(() => opened.close());
  return opened;
}

const mountedOn = (path: string, fileSystem: string, source: string): string =>
  `22 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw\n23 22 0:41 / ${path} rw - ${fileSystem} ${source} rw\n`;

test('a directory is made below the local directory, is empty, belongs to its owner alone, and goes with its release', async (context) => {
  const root = await temporary(context);
  const directories = await open(context, [join(root, 'made/for/it')]);
  const { path, release } = await directories.allocate('job-e1a1-count-0');
  assert.ok(path.startsWith(join(root, 'made/for/it/flinkjob-')));
  assert.ok(path.endsWith('/job-e1a1-count-0'));
  assert.deepEqual(await readdir(path), []);
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  await mkdir(join(path, 'checkpoint'));
  await writeFile(join(path, 'checkpoint/000007.sst'), 'x');
  await release();
  await assert.rejects(stat(path), { code: 'ENOENT' });
  // Again is no failure, and the name is free.
  await release();
  assert.equal((await directories.allocate('job-e1a1-count-0')).path, path);
});

test('the end leaves nothing of ours and everything else', async (context) => {
  const root = await temporary(context);
  await writeFile(join(root, 'somebody-elses'), 'x');
  const directories = await open(context, [root]);
  const { path } = await directories.allocate('a');
  await writeFile(join(path, 'CURRENT'), 'x');
  await directories.close();
  assert.deepEqual(await readdir(root), ['somebody-elses']);
  await assert.rejects(directories.allocate('b'), /were closed/);
});

test('the local directory with the least in it is used; equal ones in turn; linked files count once', async (context) => {
  const root = await temporary(context);
  const [one, two] = [join(root, 'one'), join(root, 'two')];
  const directories = await open(context, [one, two]);
  const places: string[] = [];
  const allocate = async (name: string): Promise<string> => {
    const { path } = await directories.allocate(name);
    places.push(path.startsWith(one) ? 'one' : 'two');
    return path;
  };
  const first = await allocate('a');
  await allocate('b');
  await allocate('c');
  await writeFile(join(first, 'x'), Buffer.alloc(3000));
  const inTwo = await allocate('d');
  await writeFile(join(inTwo, 'y'), Buffer.alloc(2000));
  await link(join(inTwo, 'y'), join(inTwo, 'y-linked'));
  await allocate('e');
  await writeFile(join(inTwo, 'z'), Buffer.alloc(2000));
  await allocate('f');
  assert.deepEqual(places, ['one', 'two', 'one', 'two', 'two', 'one']);
});

test('allocations at once are spread too', async (context) => {
  const root = await temporary(context);
  const directories = await open(context, [join(root, 'one'), join(root, 'two')]);
  const all = await Promise.all(['a', 'b', 'c', 'd'].map((name) => directories.allocate(name)));
  assert.equal(all.filter(({ path }) => path.startsWith(join(root, 'one/'))).length, 2);
});

test('a name that is in use, or is a path, is a bug of the caller', async (context) => {
  const directories = await open(context, [await temporary(context)]);
  await directories.allocate('a');
  await assert.rejects(directories.allocate('a'), /working directory a is in use/);
  for (const name of ['', '..', '.hidden', 'a/b', '../x', 'a\0b', 'x'.repeat(201)]) {
    await assert.rejects(directories.allocate(name), /is no name for a working directory/, name);
  }
});

test('the facts have each directory with its file system, its room and a probe; one device is probed once', async (context) => {
  const root = await temporary(context);
  const { facts } = await open(context, [join(root, 'one'), join(root, 'two')], {
    mountInfo: mountedOn(root, 'ext4', '/dev/nvme0n1'),
  });
  assert.deepEqual(
    facts.directories.map(({ path, mount }) => [path, mount?.source]),
    [
      [join(root, 'one'), '/dev/nvme0n1'],
      [join(root, 'two'), '/dev/nvme0n1'],
    ],
  );
  assert.ok((facts.directories[0]?.freeSizeBytes ?? 0) > 0);
  assert.ok((facts.directories[0]?.probe.writeMegabytesPerSecond ?? 0) > 0);
  assert.equal(facts.directories[0]?.probe, facts.directories[1]?.probe);
  assert.deepEqual([facts.removed, facts.kept], [[], []]);
});

test('memory and container layers are used with a warning, and so is what cannot be found out', async (context) => {
  const root = await temporary(context);
  const warningsWith = async (mountInfo: string): Promise<string> => {
    const directories = await open(context, [root], { mountInfo });
    return directories.facts.directories[0]?.warnings.join('\n') ?? '';
  };
  assert.match(await warningsWith(mountedOn(root, 'tmpfs', 'tmpfs')), /is on tmpfs: it is memory/);
  assert.match(
    await warningsWith(mountedOn(root, 'overlay', 'overlay')),
    /is on overlay: it is the container’s own writable layer/,
  );
  assert.match(await warningsWith('not a mount table'), /cannot be found out here/);
});

test('a network mount is refused with the reason, before anything is made on it', async (context) => {
  const root = await temporary(context);
  const local = join(root, 'local');
  const remote = join(root, 'remote');
  const mountInfo = mountedOn(remote, 'nfs4', '10.0.0.7:/exports');
  await assert.rejects(
    open(context, [local, join(remote, 'state')], { mountInfo }),
    (error) =>
      error instanceof JobError &&
      error.code === 'LocalDirectoryNotLocal' &&
      error.domain === 'user' &&
      error.retry === 'never' &&
      error.message.includes(
        `${join(remote, 'state')} cannot hold working state: it is NFS (nfs4), not a local disk. 10.0.0.7:/exports is mounted on ${remote}`,
      ) &&
      (error.remedy?.includes('emptyDir') ?? false),
  );
  assert.deepEqual(await readdir(root), ['local']);
  assert.deepEqual(await readdir(local), []);
});

test('a symbolic link to a network mount is refused like the mount', async (context) => {
  const root = await temporary(context);
  await mkdir(join(root, 'remote'));
  await symlink(join(root, 'remote'), join(root, 'looks-local'));
  await assert.rejects(
    open(context, [join(root, 'looks-local')], { mountInfo: mountedOn(join(root, 'remote'), 'fuse.sshfs', 'me@host:/') }),
    { code: 'LocalDirectoryNotLocal' },
  );
  assert.deepEqual(await readdir(join(root, 'remote')), []);
});

test('a directory that cannot be used is named with what to do', async (context) => {
  const root = await temporary(context);
  await writeFile(join(root, 'file'), 'x');
  const cases = [
    [['relative/path'], /relative\/path cannot be used: it is not an absolute path/],
    [[join(root, 'file')], /file cannot be used: EEXIST/],
    [[join(root, 'file/below')], /below cannot be used: ENOTDIR/],
    [[root, join(root, '.')], /it is named twice/],
  ] as const;
  for (const [localDirectories, message] of cases) {
    await assert.rejects(
      open(context, localDirectories),
      (error) =>
        error instanceof JobError &&
        error.code === 'LocalDirectoryUnusable' &&
        error.retry === 'never' &&
        error.remedy !== undefined &&
        message.test(error.message),
    );
  }
  // What was opened before the failure left nothing.
  assert.deepEqual(await readdir(root), ['file']);
});

test('a directory that may not be written to is refused', async (context) => {
  // The kernel's own tree: there even root makes no directory.
  await assert.rejects(open(context, ['/sys/kernel']), { code: 'LocalDirectoryUnusable' });
});

test('a local directory that vanishes is made again for the next allocation, with its marker', async (context) => {
  const root = await temporary(context);
  const localDirectory = join(root, 'gone');
  const directories = await open(context, [localDirectory]);
  const before = await directories.allocate('a');
  await rm(localDirectory, { recursive: true });
  const { path } = await directories.allocate('b');
  assert.deepEqual((await readdir(dirname(path))).sort(), ['b', 'holder.json', 'kept']);
  await before.release();
  await directories.close();
  assert.deepEqual(await readdir(localDirectory), []);
});

test('a local directory that cannot be made again is said with its name', async (context) => {
  const root = await temporary(context);
  const localDirectory = join(root, 'gone');
  const directories = await open(context, [localDirectory]);
  await rm(localDirectory, { recursive: true });
  await writeFile(localDirectory, 'a file');
  await assert.rejects(directories.allocate('a'), { code: 'LocalDirectoryUnusable', message: /gone cannot be used/ });
  await rm(localDirectory);
});

const holderProgram = `
import { mkdir, writeFile } from 'node:fs/promises';
import { openWorkingDirectories } from ${JSON.stringify(new URL('./working-directories.ts', import.meta.url).href)};
const directories = await openWorkingDirectories({ localDirectories: [process.argv[1]], taskManagerId: 'tm-of-child' });
const { path } = await directories.allocate('state');
await writeFile(path + '/000001.sst', 'x');
await mkdir(directories.keptDirectories()[0] + '/part');
await writeFile(directories.keptDirectories()[0] + '/part/file', 'kept by ' + process.pid);
process.stdout.write('ready');
process.stdin.resume();
`;

async function startHolder(context: TestContext, localDirectory: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', holderProgram, localDirectory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  assert.ok(child.stdout);
  const [output] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => ['it ended'])]);
  assert.equal(String(output), 'ready');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

test('what a killed process left is removed by the next one; what a living one has is not touched', async (context) => {
  const root = await temporary(context);
  const [killed, living] = [await startHolder(context, root), await startHolder(context, root)];
  await kill(killed);
  const directories = await open(context, [root]);
  assert.equal(directories.facts.removed.length, 1);
  assert.deepEqual(directories.facts.kept, []);
  await directories.close();
  const [left, ...others] = await readdir(root);
  assert.deepEqual(others, []);
  assert.deepEqual(await readdir(join(root, left ?? '', 'state')), ['000001.sst']);
  assert.equal(living.exitCode, null);
});

test('what a killed process kept goes over to the next one and, unless that leaves it, to nobody', async (context) => {
  const root = await temporary(context);
  const killed = await startHolder(context, root);
  await kill(killed);
  const first = await open(context, [root]);
  const kept = (directories: WorkingDirectories): Promise<string> =>
    readFile(join(directories.keptDirectories()[0] ?? '', 'part/file'), 'utf8');
  assert.equal(await kept(first), `kept by ${killed.pid}`);
  assert.equal((await readdir(root)).length, 1);
  // This process goes on, and so holds it; a successor sees a holder that is gone.
  await first.allocate('state');
  await first.close({ leaveKept: true });
  const [left] = await readdir(root);
  assert.deepEqual((await readdir(join(root, left ?? ''))).sort(), ['holder.json', 'kept']);
  await asOfDeadProcess(join(root, left ?? ''));
  const second = await open(context, [root]);
  assert.equal(await kept(second), `kept by ${killed.pid}`);
  await second.close();
  assert.deepEqual(await readdir(root), []);
});

test('what a process kept that ended beside us is removed when nobody has come for it', async (context) => {
  const root = await temporary(context);
  const directories = await open(context, [root]);
  const other = await startHolder(context, root);
  await kill(other);
  await directories.removeLeft(60_000);
  assert.equal((await readdir(root)).length, 2);
  await directories.removeLeft(-60_000);
  assert.equal((await readdir(root)).length, 1);
  await directories.allocate('still-ours');
});

test('what was kept before a reboot is removed', async (context) => {
  const root = await temporary(context);
  await kill(await startHolder(context, root));
  const [left] = await readdir(root);
  await changeHolder(join(root, left ?? ''), ({ startTime }) => ({ startTime: startTime.replace(/^[^/]+/, 'another-boot') }));
  const directories = await open(context, [root]);
  assert.deepEqual(await readdir(directories.keptDirectories()[0] ?? ''), []);
});

test('what was kept by a process that lives is not touched', async (context) => {
  const root = await temporary(context);
  await startHolder(context, root);
  const directories = await open(context, [root]);
  assert.deepEqual(await readdir(directories.keptDirectories()[0] ?? ''), []);
});

async function asOfDeadProcess(processDirectory: string): Promise<void> {
  await changeHolder(processDirectory, ({ startTime }) => ({ startTime: `${startTime}0` }));
}

async function changeHolder(
  processDirectory: string,
  change: (holder: { readonly startTime: string }) => { readonly startTime: string },
): Promise<void> {
  const file = join(processDirectory, 'holder.json');
  const marker = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...marker, holder: { ...marker.holder, ...change(marker.holder) } }));
}

test('only directories with a complete marker of ours are ever removed', async (context) => {
  const root = await temporary(context);
  await kill(await startHolder(context, root));
  const [stale] = await readdir(root);
  assert.ok(stale !== undefined);
  const marker = JSON.parse(await readFile(join(root, stale, 'holder.json'), 'utf8'));
  const lookalike = async (name: string, content: string): Promise<void> => {
    await mkdir(join(root, name));
    await writeFile(join(root, name, 'data'), 'x');
    await writeFile(join(root, name, 'holder.json'), content);
  };
  await lookalike('flinkjob-no-json', 'x');
  await lookalike('flinkjob-other-format', JSON.stringify({ ...marker, format: 'another program' }));
  await lookalike('flinkjob-newer', JSON.stringify({ ...marker, version: 2 }));
  await lookalike('flinkjob-no-holder', JSON.stringify({ ...marker, holder: { pid: 'x' } }));
  await lookalike('flinkjob-huge', JSON.stringify({ ...marker, padding: 'x'.repeat(100_000) }));
  await lookalike('other-name', JSON.stringify(marker));
  await mkdir(join(root, 'flinkjob-unmarked'));
  await writeFile(join(root, 'flinkjob-unmarked/data'), 'x');
  await writeFile(join(root, 'flinkjob-a-file'), 'x');
  // Markers and directories by symbolic link are somebody's trick or mistake.
  await mkdir(join(root, 'flinkjob-linked-marker'));
  await symlink(join(root, 'other-name/holder.json'), join(root, 'flinkjob-linked-marker/holder.json'));
  await cp(join(root, 'other-name'), join(root, 'elsewhere'), { recursive: true });
  await symlink(join(root, 'elsewhere'), join(root, 'flinkjob-linked-directory'));
  const before = (await readdir(root)).filter((name) => name !== stale);

  const directories = await open(context, [root]);
  assert.deepEqual(directories.facts.removed, [join(root, stale)]);
  assert.deepEqual(directories.facts.kept.map(({ path }) => path).sort(), [
    join(root, 'flinkjob-newer'),
    join(root, 'flinkjob-no-holder'),
  ]);
  await directories.close();
  assert.deepEqual(await readdir(root), before);
  assert.deepEqual(await readdir(join(root, 'elsewhere')), ['data', 'holder.json']);
});

test('what a TaskManager of another container holds is left, and said', async (context) => {
  const root = await temporary(context);
  await kill(await startHolder(context, root));
  const [name] = await readdir(root);
  const file = join(root, name ?? '', 'holder.json');
  const marker = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...marker, holder: { ...marker.holder, pidNamespace: 'pid:[1]' } }));

  const stranger = await open(context, [root]);
  assert.deepEqual(stranger.facts.removed, []);
  assert.match(stranger.facts.kept[0]?.reason ?? '', /TaskManager tm-of-child of another container held it/);
  await stranger.close();
  // The same TaskManager, started again in a new container, knows that its former one has ended.
  const successor = await open(context, [root], { taskManagerId: 'tm-of-child' });
  assert.deepEqual(successor.facts.removed, [join(root, name ?? '')]);
});

test('two openings in one process do not touch each other', async (context) => {
  const root = await temporary(context);
  const first = await open(context, [root]);
  const { path } = await first.allocate('a');
  const second = await open(context, [root]);
  await second.close();
  assert.deepEqual(second.facts.removed, []);
  assert.deepEqual(await readdir(path), []);
});
