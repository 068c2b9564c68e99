import { readFileSync } from 'node:fs';
import Ajv, { type AnySchema } from 'ajv';
import formats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createMock, failures, job } from '../../mock/server.mjs';

// The page is developed against the mock, so the mock has to answer as the API is described.

interface Operation {
  responses: Record<string, { $ref?: string; content?: Record<string, { schema: AnySchema }> }>;
}

const description = parse(
  readFileSync(new URL('../../../docs/openapi.yaml', import.meta.url), 'utf8'),
  { maxAliasCount: -1 },
) as {
  paths: Record<string, Record<string, Operation>>;
  components: { responses: Record<string, Operation['responses'][string]>; schemas: Record<string, unknown> };
};

// OpenAPI 3.0 says "exclusiveMinimum: true" beside a minimum where JSON Schema says the number.
const schemas = JSON.parse(
  JSON.stringify(description.components.schemas).replaceAll(
    '"minimum":0,"exclusiveMinimum":true',
    '"exclusiveMinimum":0',
  ),
) as Record<string, unknown>;
const ajv = new Ajv({ strict: false, allErrors: true });
formats(ajv);
ajv.addSchema({ $id: 'api', components: { schemas } });

function rebase(schema: unknown): AnySchema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/')) as AnySchema;
}

function check(path: string, method: string, status: number, body: unknown): void {
  const operation = description.paths[path]?.[method];
  let response = operation?.responses[String(status)] ?? operation?.responses['default'];
  if (response?.$ref) response = description.components.responses[response.$ref.split('/').pop() ?? ''];
  const content = response?.content ?? {};
  const schema = (content['application/json'] ?? content['application/problem+json'])?.schema;
  expect(schema, `${method} ${path} ${status} is described`).toBeDefined();
  const valid = ajv.validate(rebase(schema), body);
  expect(valid, `${method} ${path} ${status}: ${ajv.errorsText()}`).toBe(true);
}

const mock = createMock({ count: 12 });
const get = async (path: string, init?: RequestInit) => {
  const response = await fetch(mock.url + path, init);
  return { status: response.status, body: (await response.json()) as unknown };
};
const post = (path: string, body: unknown) =>
  get(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });

beforeAll(() => mock.listen());
afterAll(() => mock.close());

describe('the mock answers as the API is described', () => {
  it('collections and pictures', async () => {
    const collections = await get('/api/v1/collections');
    check('/api/v1/collections', 'get', 200, collections.body);
    const images = await get('/api/v1/collections/pictures/images?sort=random&seed=3&limit=5');
    check('/api/v1/collections/{collection}/images', 'get', 200, images.body);
    mock.indexError = { code: 'corruption', detail: 'the index is damaged', hint: '' };
    check('/api/v1/collections', 'get', 200, (await get('/api/v1/collections')).body);
    mock.indexError = null;
    const missing = await get('/api/v1/collections/nowhere/images');
    expect(missing.status).toBe(404);
    check('/api/v1/collections/{collection}/images', 'get', 404, missing.body);
  });

  it('its status', async () => {
    for (const command of ['./similis', null]) {
      mock.command = command;
      check('/api/v1/status', 'get', 200, (await get('/api/v1/status')).body);
    }
  });

  it('searches, by what is stored, by bytes, and page by page', async () => {
    const path = '/api/v1/collections/pictures/search';
    const schema = '/api/v1/collections/{collection}/search';
    const stored = await post(path, { image_id: '403', k: 5, exclude_self: true });
    check(schema, 'post', 200, stored.body);
    const first = stored.body as { hits: { id: string }[]; next_cursor: string };
    const second = await post(path, { cursor: first.next_cursor });
    check(schema, 'post', 200, second.body);
    const ids = [...first.hits, ...(second.body as typeof first).hits].map((h) => h.id);
    expect(new Set(ids).size).toBe(ids.length);

    const file = await fetch(`${mock.url}/api/v1/collections/pictures/images/403/file`);
    const bytes = await get(`${path}?k=3&name=x.png`, {
      method: 'POST',
      body: Buffer.from(await file.arrayBuffer()),
    });
    check(schema, 'post', 200, bytes.body);
    expect((bytes.body as typeof first).hits[0]?.id).toBe('403');

    const text = await get(path, { method: 'POST', body: 'hello' });
    expect(text.status).toBe(415);
    check(schema, 'post', 415, text.body);
    check(schema, 'post', 404, (await post(path, { image_id: '9' })).body);
    check(schema, 'post', 410, (await post(path, { cursor: 'old.5' })).body);
  });

  it('jobs and their failures', async () => {
    mock.setJob(job());
    mock.failures = failures;
    check('/api/v1/jobs', 'get', 200, (await get('/api/v1/jobs')).body);
    check('/api/v1/jobs/{id}/failures', 'get', 200, (await get('/api/v1/jobs/17/failures')).body);
    check('/api/v1/jobs/{id}/pause', 'post', 200, (await post('/api/v1/jobs/17/pause', {})).body);
    check('/api/v1/jobs/{id}/resume', 'post', 200, (await post('/api/v1/jobs/17/resume', {})).body);
    const retried = await post('/api/v1/jobs/17/failures/retry', {});
    check('/api/v1/jobs/{id}/failures/retry', 'post', 202, retried.body);
  });
});
