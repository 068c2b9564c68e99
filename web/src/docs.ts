import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js';
import 'swagger-ui-dist/swagger-ui.css';
import './styles/docs.css';

/// The API's description as a page. The same file is at /openapi.json.

interface Operation {
  description?: string;
  'x-codeSamples'?: { label?: string; source: string }[];
}

interface Description {
  paths?: Record<string, Record<string, Operation>>;
  [key: string]: unknown;
}

/// The page shows no x-codeSamples by itself: they go to the end of what it does show.
function withSamples(description: Description): Description {
  for (const methods of Object.values(description.paths ?? {})) {
    for (const operation of Object.values(methods)) {
      const samples = operation['x-codeSamples'];
      if (!samples) continue;
      const blocks = samples.map(
        (s) => `${s.label ? `${s.label}:\n\n` : ''}\`\`\`sh\n${s.source}\n\`\`\``,
      );
      operation.description = [operation.description ?? '', ...blocks].join('\n\n');
    }
  }
  return description;
}

const chosen = document.documentElement.dataset.theme;
const dark = chosen
  ? chosen === 'dark'
  : window.matchMedia('(prefers-color-scheme: dark)').matches;
document.documentElement.classList.toggle('dark-mode', dark);

async function show(): Promise<void> {
  const node = document.getElementById('docs');
  if (!node) return;
  const response = await fetch('/openapi.json', { credentials: 'same-origin' });
  if (!response.ok) {
    node.textContent =
      response.status === 401
        ? 'This needs a credential: open the address that “similis serve” printed first.'
        : `The description cannot be read: the server answered ${response.status}.`;
    return;
  }
  SwaggerUI({
    spec: withSamples((await response.json()) as Description),
    domNode: node,
    deepLinking: true,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    validatorUrl: null, // nothing leaves this machine
    persistAuthorization: false,
  });
}

show().catch((error: unknown) => {
  const node = document.getElementById('docs');
  if (node) node.textContent = `The description cannot be read: ${String(error)}`;
});
