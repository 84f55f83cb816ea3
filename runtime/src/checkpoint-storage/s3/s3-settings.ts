/**
 * What this project itself settles about a connection; endpoint, region and credentials the SDK finds where every AWS tool does: environment,
 * shared files, web identity, pod identity, instance metadata.
 */
export interface S3Settings {
  /** Undefined: Amazon S3, or what the shared configuration file names. */
  readonly endpoint: string | undefined;
  /** The bucket in the path of a request, and not in the host's name, which servers of one's own rarely have. */
  readonly isPathStyle: boolean;
  /** Undefined: as the bucket is configured. */
  readonly kmsKeyId: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws an error that says what is wrong with a value. */
export function readS3Settings(environment: Environment): S3Settings {
  const endpoint = environment['AWS_ENDPOINT_URL_S3'] || environment['AWS_ENDPOINT_URL'] || undefined;
  return {
    endpoint,
    isPathStyle: readBoolean(environment, 'FLINKJOB_S3_PATH_STYLE') ?? endpoint !== undefined,
    kmsKeyId: environment['FLINKJOB_S3_KMS_KEY_ID'] || undefined,
  };
}

function readBoolean(environment: Environment, name: string): boolean | undefined {
  const text = environment[name];
  if (text === undefined || text === '') {
    return undefined;
  }
  if (text !== 'true' && text !== 'false') {
    throw new Error(`the environment variable ${name} must be true or false, not '${text}'`);
  }
  return text === 'true';
}

/** What a request that makes an object says about its encryption. */
export function encryption({
  kmsKeyId,
}: S3Settings): Record<string, never> | { readonly ServerSideEncryption: 'aws:kms'; readonly SSEKMSKeyId: string } {
  return kmsKeyId === undefined ? {} : { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: kmsKeyId };
}
