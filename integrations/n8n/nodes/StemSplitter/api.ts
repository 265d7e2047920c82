import type {
	IDataObject,
	IExecuteFunctions,
	IHookFunctions,
	IHttpRequestMethods,
	IHttpRequestOptions,
	IN8nHttpFullResponse,
	INodeExecutionData,
	JsonObject,
} from 'n8n-workflow';
import { NodeApiError, NodeOperationError, randomString, sleep } from 'n8n-workflow';

const CREDENTIAL = 'stemSplitterApi';
const POLL_MS = 2000;
const TYPES: Record<string, string> = {
	mp3: 'audio/mpeg', wav: 'audio/wav', flac: 'audio/flac', ogg: 'audio/ogg', m4a: 'audio/mp4',
};

/** Sends a request to the API. Returns `data` of the response. */
export async function call(
	node: IExecuteFunctions | IHookFunctions,
	item: number,
	method: IHttpRequestMethods,
	path: string,
	options: Partial<IHttpRequestOptions> = {},
): Promise<IDataObject> {
	const credentials = await node.getCredentials(CREDENTIAL, item);
	const url = `${String(credentials.baseUrl).replace(/\/+$/, '')}/v1${path}`;
	try {
		const request: IHttpRequestOptions = { method, url, json: true, ...options };
		const answer = await node.helpers.httpRequestWithAuthentication.call(node, CREDENTIAL, request);
		return answer.data as IDataObject;
	} catch (error) {
		throw new NodeApiError(node.getNode(), error as JsonObject, { itemIndex: item, ...reasonOf(error) });
	}
}

/** Returns the sentence of the API, which says what is wrong and what to do. */
function reasonOf(error: { response?: { data?: IDataObject }; context?: { data?: IDataObject } }) {
	const body = error.response?.data ?? error.context?.data;
	const reason = body?.error as IDataObject | string | undefined;
	if (typeof reason === 'string') return { message: String(body?.message ?? reason) };
	return reason?.message ? { message: String(reason.message) } : {};
}

/** Creates a job, once even if the request is repeated. */
export async function create(node: IExecuteFunctions, item: number, path: string, body: IDataObject) {
	const headers = { 'Idempotency-Key': randomString(32) };
	return await call(node, item, 'POST', path, { body, headers });
}

/** Uploads binary data. Returns the `input` of a job. */
export async function upload(node: IExecuteFunctions, item: number, field: string): Promise<IDataObject> {
	const binary = node.helpers.assertBinaryData(item, field);
	const content = await node.helpers.getBinaryDataBuffer(item, field);
	const filename = binary.fileName ?? `song.${binary.fileExtension ?? 'mp3'}`;
	const extension = filename.split('.').pop()?.toLowerCase() ?? '';
	const contentType = TYPES[extension] ?? binary.mimeType;
	const made = await create(node, item, '/audio/uploads', {
		filename, contentType, contentLength: content.length,
	});
	const headers = { ...(made.uploadHeaders as IDataObject), 'Content-Type': contentType };
	try {
		const sent = await node.helpers.httpRequest({
			method: 'POST', url: String(made.uploadUrl), headers, body: content,
		});
		const data = (typeof sent === 'string' ? JSON.parse(sent) : sent).data as IDataObject;
		return { type: 'uploaded_file', uploadId: made.uploadId, fileUrl: data.url, storageKey: data.key };
	} catch (error) {
		throw new NodeApiError(node.getNode(), error as JsonObject, { itemIndex: item, ...reasonOf(error) });
	}
}

/** Waits until a job has ended. */
export async function wait(
	node: IExecuteFunctions,
	item: number,
	path: string,
	seconds: number,
): Promise<IDataObject> {
	const deadline = Date.now() + seconds * 1000;
	for (;;) {
		const job = await call(node, item, 'GET', path);
		if (job.status === 'succeeded') return job;
		if (job.status === 'failed') {
			const reason = (job.error as IDataObject | null)?.message ?? 'no reason was given';
			throw new NodeOperationError(node.getNode(), `${job.id} failed: ${reason}`, { itemIndex: item });
		}
		if (Date.now() >= deadline) {
			const message = `${job.id} has not ended after ${seconds} seconds: raise the timeout, or use the trigger.`;
			throw new NodeOperationError(node.getNode(), message, { itemIndex: item });
		}
		await sleep(POLL_MS);
	}
}

/** Downloads the stems of a split as binary data, one field each. */
export async function stems(
	node: IExecuteFunctions,
	item: number,
	split: IDataObject,
): Promise<INodeExecutionData> {
	const links = split.stems as Record<string, string> | undefined;
	if (!links) {
		const message = `${split.id} has no stems: its status is ${split.status}.`;
		throw new NodeOperationError(node.getNode(), message, { itemIndex: item });
	}
	const binary: INodeExecutionData['binary'] = {};
	for (const [name, url] of Object.entries(links)) {
		const answer = (await node.helpers.httpRequest({
			method: 'GET', url, encoding: 'arraybuffer', returnFullResponse: true,
		})) as IN8nHttpFullResponse;
		const content = Buffer.from(answer.body as Buffer);
		const extension = /\.([a-z0-9]{2,5})(?:\?|$)/.exec(url)?.[1] ?? String(split.outputFormat);
		const type = String(answer.headers['content-type'] ?? TYPES[extension]);
		binary[name] = await node.helpers.prepareBinaryData(content, `${name}.${extension}`, type);
	}
	return { json: split, binary, pairedItem: { item } };
}
