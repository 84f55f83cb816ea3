/** The addon cannot be built, and the message says why: a tool that is missing, a download, a compiler's complaint. */
export class NativeBuildError extends Error {
  override readonly name = 'NativeBuildError';
}
