import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The URL of a folder as a person names it: a directory, `file:./directory` or `file:///…`, or the URL of another medium, which stays as it is. */
export function storageUrlOf(argument: string): string {
  if (argument.startsWith('file:') && !argument.startsWith('file://')) {
    return pathToFileURL(resolve(argument.slice('file:'.length))).href;
  }
  if (argument.startsWith('file:')) {
    return pathToFileURL(fileURLToPath(argument)).href;
  }
  return /^[a-z][a-z0-9+.-]*:\/\//.test(argument) ? argument : pathToFileURL(resolve(argument)).href;
}
