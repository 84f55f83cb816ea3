/** Reads the fields of one JSON object; every error names the field by its full path. `end` refuses what was not read. */
export class FieldReader {
  readonly #fields: Record<string, unknown>;
  readonly #prefix: string;
  readonly #error: (problem: string) => Error;
  readonly #read = new Set<string>();

  constructor(value: unknown, prefix: string, error: (problem: string) => Error) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw error(`${prefix === '' ? 'the content' : `field ${prefix.slice(0, -1)}`} is not an object`);
    }
    this.#fields = value as Record<string, unknown>;
    this.#prefix = prefix;
    this.#error = error;
  }

  string(name: string): string {
    const value = this.#take(name);
    if (typeof value !== 'string' || value === '') {
      throw this.#wrong(name, 'is not a string with content', value);
    }
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#take(name);
    if (typeof value !== 'boolean') {
      throw this.#wrong(name, 'is neither true nor false', value);
    }
    return value;
  }

  number(name: string): number {
    const value = this.#take(name);
    if (typeof value !== 'number') {
      throw this.#wrong(name, 'is not a number', value);
    }
    return value;
  }

  integer(name: string, minimum: number): number {
    const value = this.#take(name);
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < minimum) {
      throw this.#wrong(name, `is not a whole number from ${minimum} on`, value);
    }
    return value;
  }

  oneOf<const T extends string>(name: string, values: readonly T[]): T {
    const value = this.#take(name);
    const found = values.find((known) => known === value);
    if (found === undefined) {
      throw this.#wrong(name, `is none of ${values.join(', ')}`, value);
    }
    return found;
  }

  strings(name: string): readonly string[] {
    const value = this.#take(name);
    if (!Array.isArray(value) || value.some((element) => typeof element !== 'string')) {
      throw this.#wrong(name, 'is not a list of strings', value);
    }
    return value as string[];
  }

  object(name: string): FieldReader {
    return new FieldReader(this.#take(name), `${this.#prefix}${name}.`, this.#error);
  }

  objects(name: string): readonly FieldReader[] {
    const value = this.#take(name);
    if (!Array.isArray(value)) {
      throw this.#wrong(name, 'is not a list', value);
    }
    return value.map((element, index) => new FieldReader(element, `${this.#prefix}${name}[${index}].`, this.#error));
  }

  optional<T>(name: string, read: (name: string) => T): T | undefined {
    this.#read.add(name);
    return this.#fields[name] === undefined ? undefined : read(name);
  }

  end(): void {
    const unknown = Object.keys(this.#fields).find((name) => !this.#read.has(name));
    if (unknown !== undefined) {
      throw this.#error(`field ${this.#prefix}${unknown} is unknown`);
    }
  }

  /** An error about a field that is well-formed and yet cannot be right. */
  wrong(name: string, problem: string): Error {
    return this.#error(`field ${this.#prefix}${name} ${problem}`);
  }

  #take(name: string): unknown {
    this.#read.add(name);
    return this.#fields[name];
  }

  #wrong(name: string, problem: string, value: unknown): Error {
    return this.#error(`field ${this.#prefix}${name} ${value === undefined ? 'is missing' : problem}`);
  }
}
