/**
 * Takes credentials out of what leaves the cluster with a debug bundle or is shown on a screen. Names decide for fields; texts are searched for the usual forms. It errs on the side of hiding.
 */
const hidden = '(hidden)';

const secretName =
  /pass(word|wd|phrase)?|secret|token|credential|api[-_]?key|access[-_]?key|private[-_]?key|auth|sas\b|signature|dsn|connection[-_]?string/i;

/** Fields of our own and of Kubernetes that have such a name and hold no secret. */
const innocentNames: ReadonlySet<string> = new Set([
  ...[
    'automountServiceAccountToken',
    'serviceAccountToken',
    'secretName',
    'secretRef',
    'secretKeyRef',
    'imagePullSecrets',
    'secret',
  ],
  // Names one restore request or one attempt; who knows it can do nothing with it.
  ...['token', 'restoreToken', 'author', 'authored'],
]);

function isSecretName(name: string): boolean {
  return !innocentNames.has(name) && secretName.test(name);
}

/** A copy of JSON data. `env` entries lose literal values; what refers to a Secret keeps the reference. */
export function redactValue(value: unknown, name?: string): unknown {
  if (typeof value === 'string') {
    return name !== undefined && isSecretName(name) ? hidden : redactText(value);
  }
  if (Array.isArray(value)) {
    return value.map((item) => (name === 'env' ? redactVariable(item) : redactValue(item, undefined)));
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([key]) => key !== 'managedFields' && key !== 'kubectl.kubernetes.io/last-applied-configuration')
        // What an author calls an argument is not one of the fields that are known to be innocent.
        .map(([key, nested]) => [key, name === 'args' && secretName.test(key) ? hidden : redactValue(nested, key)]),
    );
  }
  return value;
}

function redactVariable(item: unknown): unknown {
  return typeof item === 'object' && item !== null && 'value' in item && item.value !== '' ? { ...item, value: hidden } : item;
}

const patterns: readonly (readonly [RegExp, string])[] = [
  // https://user:password@host
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/:@"']+:[^\s/@"']+@/gi, `$1${hidden}@`],
  [/\b(Bearer|Basic) +[A-Za-z0-9._~+/=-]{8,}/g, `$1 ${hidden}`],
  // Access keys of AWS, JSON web tokens, PEM.
  [/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g, hidden],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, hidden],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g, hidden],
  // name=value and "name": "value"
  [
    /((?:[\w.-]*(?:passw(?:or)?d|passphrase|secret|credential|api[-_]?key|access[-_]?key|private[-_]?key|signature)[\w.-]*|[\w.-]*token|x-amz-[\w-]+)"?\s*[=:]\s*"?)([^\s"',;&}]+)/gi,
    `$1${hidden}`,
  ],
];

/** Of log lines and sentences. */
export function redactText(text: string): string {
  return patterns.reduce((redacted, [pattern, replacement]) => redacted.replace(pattern, replacement), text);
}
