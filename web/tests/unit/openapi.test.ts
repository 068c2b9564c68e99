import { readFileSync } from 'node:fs';
import Ajv, { type AnySchema } from 'ajv';
import formats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

// docs/openapi.yaml says nothing that its own schemas deny.

interface Media {
  schema?: AnySchema;
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}
interface Response {
  $ref?: string;
  content?: Record<string, Media>;
}
interface Operation {
  operationId?: string;
  summary?: string;
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, Response>;
  'x-codeSamples'?: { lang: string; source: string }[];
}

const description = parse(
  readFileSync(new URL('../../../docs/openapi.yaml', import.meta.url), 'utf8'),
  { maxAliasCount: -1 },
) as {
  paths: Record<string, Record<string, Operation>>;
  components: { responses: Record<string, Response>; schemas: unknown };
};

/// OpenAPI 3.0 says "exclusiveMinimum: true" beside a minimum where JSON Schema says the number.
function asJsonSchema(schema: unknown): AnySchema {
  const text = JSON.stringify(schema)
    .replaceAll('"minimum":0,"exclusiveMinimum":true', '"exclusiveMinimum":0')
    .replaceAll('"#/', '"api#/');
  return JSON.parse(text) as AnySchema;
}

const ajv = new Ajv({ strict: false, allErrors: true });
formats(ajv);
ajv.addFormat('binary', true);
ajv.addSchema({ $id: 'api', components: { schemas: asJsonSchema(description.components.schemas) } });

const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods)
    .filter(([method]) => method !== 'parameters')
    .map(([method, operation]) => ({ name: `${method} ${path}`, operation })),
);

describe.each(operations)('$name', ({ operation }) => {
  it('has a name, a summary and a curl', () => {
    expect(operation.operationId).toMatch(/^[a-z_]+$/);
    expect(operation.summary).toBeTruthy();
    expect(operation['x-codeSamples']?.length).toBeGreaterThan(0);
    for (const sample of operation['x-codeSamples'] ?? []) expect(sample.source).toMatch(/^curl /);
  });

  it('has examples that its schemas allow', () => {
    const bodies = Object.entries(operation.requestBody?.content ?? {});
    const answers = Object.values(operation.responses).flatMap((response) => {
      const name = response.$ref?.split('/').pop();
      const whole = name === undefined ? response : description.components.responses[name];
      return Object.entries(whole?.content ?? {});
    });
    for (const [type, media] of [...bodies, ...answers]) {
      const examples =
        media.example !== undefined
          ? [media.example]
          : Object.values(media.examples ?? {}).map((e) => e.value);
      if (type === 'application/json' && operation.operationId !== 'openapi') {
        expect(examples.length, 'an example').toBeGreaterThan(0);
      }
      for (const example of examples) {
        const valid = ajv.validate(asJsonSchema(media.schema), example);
        expect(valid, ajv.errorsText()).toBe(true);
      }
    }
  });
});

it('operations have names of their own', () => {
  const names = operations.map((o) => o.operation.operationId);
  expect(new Set(names).size).toBe(names.length);
});
