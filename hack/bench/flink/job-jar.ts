import { cp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { announce } from '../announce.ts';
import { runTool } from '../processes/run-tool.ts';
import { cachedDirectory } from './content-cache.ts';

const source = fileURLToPath(new URL('.', import.meta.url));
const jarName = 'flink-bench-jobs.jar';

/** The jobs that run on Flink, built with Maven from the sources beside this file. Gives the jar's path. */
export async function flinkJobJar(signal: AbortSignal): Promise<string> {
  const found = await readdir(join(source, 'src'), { recursive: true });
  const files = found
    .filter((file) => file.endsWith('.java'))
    .map((file) => join('src', file))
    .sort();
  const inputs = ['pom.xml', ...files].map(async (file) => [file, await readFile(join(source, file))] as const);
  const directory = await cachedDirectory({
    name: 'flink-jobs',
    inputs: (await Promise.all(inputs)).flat(),
    build: async (directory) => {
      announce('building the Flink jobs with Maven …');
      const project = join(directory, 'project');
      await cp(join(source, 'pom.xml'), join(project, 'pom.xml'));
      await cp(join(source, 'src'), join(project, 'src'), { recursive: true });
      await runTool({
        command: 'mvn',
        // Only these two goals: the rest of Maven's life cycle would fetch plugins that have nothing to do here.
        args: ['--quiet', '--batch-mode', '--strict-checksums', 'compiler:compile', 'jar:jar'],
        workingDirectory: project,
        missing: 'Install Maven and a JDK 17 or newer: they build the jobs that run on Flink.',
        signal,
      });
      await rename(join(project, 'target', jarName), join(directory, jarName));
      await rm(project, { recursive: true });
    },
  });
  return join(directory, jarName);
}
