import type {
	IDataObject,
	IExecuteFunctions,
	INodeExecutionData,
	INodeType,
	INodeTypeDescription,
	JsonObject,
} from 'n8n-workflow';
import { NodeApiError, NodeConnectionTypes, NodeOperationError } from 'n8n-workflow';
import { call, create, stems, upload, wait } from './api';
import { properties } from './properties';

export class StemSplitter implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Stem Splitter',
		name: 'stemSplitter',
		icon: { light: 'file:../../icons/stemsplitter.svg', dark: 'file:../../icons/stemsplitter.dark.svg' },
		group: ['transform'],
		version: [1],
		subtitle: '={{ $parameter["operation"] }}',
		description: 'Separate songs into stems with a Stem Splitter server',
		defaults: { name: 'Stem Splitter' },
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		usableAsTool: true,
		credentials: [{ name: 'stemSplitterApi', required: true }],
		properties,
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		const results: INodeExecutionData[] = [];
		for (let item = 0; item < this.getInputData().length; item++) {
			try {
				results.push(...(await run(this, item)));
			} catch (error) {
				if (!this.continueOnFail()) {
					// both return an error of their own kind as it is
					if (error instanceof NodeApiError) throw new NodeApiError(this.getNode(), error as unknown as JsonObject);
					throw new NodeOperationError(this.getNode(), error, { itemIndex: item });
				}
				results.push({ json: { error: error.message }, error, pairedItem: { item } });
			}
		}
		return [results];
	}
}

/** Runs the operation for an item. */
async function run(node: IExecuteFunctions, item: number): Promise<INodeExecutionData[]> {
	const operation = node.getNodeParameter('operation', item) as string;
	const one = (json: IDataObject): INodeExecutionData[] => [{ json, pairedItem: { item } }];
	switch (operation) {
		case 'getCredits':
			return one(await call(node, item, 'GET', '/credits'));
		case 'upload': {
			const field = node.getNodeParameter('binaryField', item) as string;
			return one({ input: await upload(node, item, field) });
		}
		case 'analyze':
			return one(await createJob(node, item, '/audio/analyses', {}));
		case 'createSplit': {
			const split = await createJob(node, item, '/audio/splits', splitOptions(node, item));
			const isDownload = split.status === 'succeeded' && node.getNodeParameter('download', item, false);
			return isDownload ? [await stems(node, item, split)] : one(split);
		}
		case 'getManySplits': {
			const qs = { limit: node.getNodeParameter('limit', item) as number };
			const page = await call(node, item, 'GET', '/audio/splits', { qs });
			return (page.items as IDataObject[]).flatMap(one);
		}
	}
	const path = `/audio/splits/${encodeURIComponent(node.getNodeParameter('splitId', item) as string)}`;
	switch (operation) {
		case 'getSplit':
			return one(await call(node, item, 'GET', path));
		case 'downloadStems':
			return [await stems(node, item, await call(node, item, 'GET', path))];
		case 'cancelSplit':
			return one(await call(node, item, 'POST', `${path}/cancel`));
		case 'deleteSplit':
			return one(await call(node, item, 'DELETE', path));
		default:
			throw new NodeOperationError(node.getNode(), `There is no operation ${operation}.`, { itemIndex: item });
	}
}

/** Creates a job, and waits for its end unless this is turned off. */
async function createJob(node: IExecuteFunctions, item: number, path: string, body: IDataObject) {
	const created = await create(node, item, path, { input: await source(node, item), ...body });
	if (!node.getNodeParameter('wait', item, true)) return created;
	const { timeout } = node.getNodeParameter('options', item, {}) as { timeout?: number };
	return await wait(node, item, `${path}/${created.id}`, timeout ?? 600);
}

/** Returns the song of a job. */
async function source(node: IExecuteFunctions, item: number): Promise<IDataObject> {
	const kind = node.getNodeParameter('source', item, 'url') as string;
	if (kind === 'binary') return await upload(node, item, node.getNodeParameter('binaryField', item) as string);
	if (kind === 'upload') {
		const given = node.getNodeParameter('upload', item) as string | IDataObject;
		return typeof given === 'string' ? (JSON.parse(given) as IDataObject) : given;
	}
	const url = node.getNodeParameter('audioUrl', item) as string;
	return { type: kind === 'link' ? 'link' : 'direct_url', url };
}

function splitOptions(node: IExecuteFunctions, item: number): IDataObject {
	const options = node.getNodeParameter('options', item, {}) as IDataObject;
	const body: IDataObject = { stemModel: node.getNodeParameter('stemModel', item, '6s') };
	for (const name of ['outputFormat', 'quality', 'webhookUrl']) {
		if (options[name]) body[name] = options[name];
	}
	const names = String(options.stems ?? '').split(',').map((name) => name.trim()).filter(Boolean);
	if (names.length > 0) body.stems = names;
	return body;
}
