import { existsSync } from 'node:fs';
import { attempt, KindError } from './command.ts';

export interface ImageSource {
  /** `registry`: kind's own node image, pulled. `built`: ours, from Go modules and Debian packages. */
  readonly source: 'registry' | 'built';
  readonly why: string;
}

const variable = 'KIND_NODE_IMAGE';
/** kind's node images of every release are in this repository; that it answers for one says that it answers. */
const probedImage = 'kindest/node:v1.34.0';
const probeTimeoutMs = 15_000;

/** One request to the registry, for a description of a few kilobytes, and only where its image could be used. */
export async function chooseImageSource(): Promise<ImageSource> {
  const wish = process.env[variable];
  if (wish === 'registry' || wish === 'built') {
    return { source: wish, why: `${variable}=${wish}` };
  }
  if (wish !== undefined) {
    throw new KindError(`${variable}=${wish}: it is "registry" or "built", or not set`);
  }
  if (!existsSync('/sys/fs/cgroup/cgroup.controllers')) {
    return { source: 'built', why: "this machine has cgroup v1, which the kubelet in kind's current image refuses" };
  }
  const probe = await attempt('docker', ['manifest', 'inspect', probedImage], { timeoutMs: probeTimeoutMs });
  if (probe.code === 0) {
    return { source: 'registry', why: `the registry answers for ${probedImage}; ${variable}=built builds it here` };
  }
  const said = probe.timedOut ? `no answer within ${probeTimeoutMs / 1_000} s` : probe.stderr.trim().split('\n').at(-1);
  return { source: 'built', why: `the registry does not answer for ${probedImage}: ${said}` };
}
