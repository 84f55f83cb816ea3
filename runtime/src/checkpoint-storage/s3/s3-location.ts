import { checkObjectPath } from '../object-path.ts';

export interface S3Location {
  readonly bucket: string;
  /** Without slashes at its ends; '' is the whole bucket. */
  readonly prefix: string;
}

/** Of `s3://bucket/prefix`. Throws an error that says what is wrong with it. */
export function parseS3Url(url: string): S3Location {
  if (/^s3:\/\/[^/?#]*@/.test(url)) {
    throw new Error('an s3: URL holds no credentials; they come from the environment');
  }
  // Whatever stands behind it may be a secret too.
  const shown = url.replace(/[?#].*$/s, '');
  const match = /^s3:\/\/([^/?#]*)(\/[^?#]*)?$/.exec(url);
  if (match === null) {
    throw new Error(
      `${shown} is not of the form s3://bucket/prefix, without a query; endpoint and region come from the environment`,
    );
  }
  const [, bucket = '', path = ''] = match;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw new Error(`${JSON.stringify(bucket)} in ${shown} is no name of a bucket`);
  }
  if (bucket.endsWith('--x-s3')) {
    throw new Error(
      `${bucket} is a directory bucket (S3 Express One Zone), whose listings have no order; use a general purpose bucket`,
    );
  }
  const prefix = path.replace(/^\/|\/+$/g, '');
  if (prefix !== '') {
    checkObjectPath(prefix);
  }
  return { bucket, prefix };
}
