// Loads the package with n8n's loader, and runs a node: reads one JSON command per line, writes one JSON result per line.
const { createInterface } = require('node:readline');
const path = require('node:path');
const { PackageDirectoryLoader } = require('n8n-core');

/** Context of an execution, with real requests; n8n's own needs a database. */
function contextOf({ parameters, credentials, items, continueOnFail }) {
	const request = async ({ method, url, headers = {}, body, qs, json, encoding, returnFullResponse }) => {
		const target = new URL(url);
		for (const [name, value] of Object.entries(qs ?? {})) target.searchParams.set(name, value);
		const isJson = json && body !== undefined;
		const response = await fetch(target, {
			method,
			headers: { ...headers, ...(isJson ? { 'content-type': 'application/json' } : {}) },
			body: isJson ? JSON.stringify(body) : body,
		});
		const content = Buffer.from(await response.arrayBuffer());
		const parsed = encoding === 'arraybuffer' ? content : JSON.parse(content.toString());
		if (!response.ok) {
			const error = new Error(`Request failed with status code ${response.status}`);
			throw Object.assign(error, { response: { status: response.status, data: parsed } });
		}
		return returnFullResponse ? { body: parsed, headers: Object.fromEntries(response.headers), statusCode: response.status } : parsed;
	};
	return {
		getInputData: () => items,
		getNode: () => ({ name: 'Stem Splitter', type: 'stemSplitter', typeVersion: 1, parameters }),
		getNodeParameter: (name, _item, fallback) => parameters[name] ?? fallback,
		getCredentials: async () => credentials,
		continueOnFail: () => continueOnFail ?? false,
		helpers: {
			httpRequest: request,
			httpRequestWithAuthentication: (_name, options) =>
				request({ ...options, headers: { ...options.headers, Authorization: `Bearer ${credentials.apiKey}` } }),
			assertBinaryData: (item, field) => items[item].binary[field],
			getBinaryDataBuffer: async (item, field) => Buffer.from(items[item].binary[field].data, 'base64'),
			prepareBinaryData: async (data, fileName, mimeType) => ({ data: data.toString('base64'), fileName, mimeType }),
			returnJsonArray: (value) => [{ json: value }],
		},
	};
}

const saved = {}; // of the workflow

/** Activates or deactivates a workflow with a trigger. */
async function hook(node, { parameters, credentials, hook: method, url }) {
	const context = contextOf({ parameters, credentials, items: [] });
	Object.assign(context, {
		getNodeWebhookUrl: () => url,
		getWorkflowStaticData: () => saved,
		getNodeParameter: (name) => parameters[name],
	});
	return await node.webhookMethods.default[method].call(context);
}

async function webhook(node, { parameters, credentials, body, headers }) {
	const context = contextOf({ parameters, credentials, items: [] });
	let status = 200;
	const response = { status: (value) => { status = value; return response; }, json: () => response };
	Object.assign(context, {
		getRequestObject: () => ({ headers, rawBody: Buffer.from(body) }),
		getResponseObject: () => response,
		getWorkflowStaticData: () => saved,
		getNodeParameter: (name) => parameters[name],
	});
	return { ...(await node.webhook.call(context)), status };
}

async function main() {
	const loader = new PackageDirectoryLoader(path.join(__dirname, '..'));
	await loader.loadAll();
	for await (const line of createInterface({ input: process.stdin })) {
		const command = JSON.parse(line);
		let result;
		try {
			if (command.describe) result = { ok: { known: loader.known, types: loader.types } };
			else {
				const { type } = loader.getNode(command.node);
				if (command.hook) result = { ok: await hook(type, command) };
				else if (command.body === undefined) result = { ok: await type.execute.call(contextOf(command)) };
				else result = { ok: await webhook(type, command) };
			}
		} catch (error) {
			result = { error: { name: error.name, message: error.message, httpCode: error.httpCode } };
		}
		console.log(`result ${JSON.stringify(result)}`);
	}
	process.exit(0);
}

main();
