import type {
	IDataObject,
	IHookFunctions,
	INodeType,
	INodeTypeDescription,
	IWebhookFunctions,
	IWebhookResponseData,
	JsonObject,
} from 'n8n-workflow';
import { NodeApiError, NodeConnectionTypes } from 'n8n-workflow';
import { call } from '../StemSplitter/api';
import { isGenuine } from './signature';

const ALL = '*';

export class StemSplitterTrigger implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Stem Splitter Trigger',
		name: 'stemSplitterTrigger',
		icon: { light: 'file:../../icons/stemsplitter.svg', dark: 'file:../../icons/stemsplitter.dark.svg' },
		group: ['trigger'],
		version: [1],
		subtitle: '={{ $parameter["events"].join(", ") }}',
		description: 'Starts a workflow when a split or another job has ended',
		defaults: { name: 'Stem Splitter Trigger' },
		inputs: [],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'stemSplitterApi', required: true }],
		webhooks: [{ name: 'default', httpMethod: 'POST', responseMode: 'onReceived', path: 'webhook', rawBody: true }],
		properties: [
			{
				displayName: 'Events',
				name: 'events',
				type: 'multiOptions',
				required: true,
				default: ['audio.split.completed', 'audio.split.failed'],
				description: 'The events of all jobs of the account that start the workflow',
				options: [
					{ name: 'All', value: ALL },
					{ name: 'Analysis Completed', value: 'audio.analysis.completed' },
					{ name: 'Analysis Failed', value: 'audio.analysis.failed' },
					{ name: 'Effect Completed', value: 'audio.effect.completed' },
					{ name: 'Effect Failed', value: 'audio.effect.failed' },
					{ name: 'Speech Completed', value: 'audio.speech.completed' },
					{ name: 'Speech Failed', value: 'audio.speech.failed' },
					{ name: 'Split Completed', value: 'audio.split.completed' },
					{ name: 'Split Failed', value: 'audio.split.failed' },
				],
			},
		],
	};

	// the active workflow has an endpoint on the server, with a signing secret of its own
	webhookMethods = {
		default: {
			async checkExists(this: IHookFunctions): Promise<boolean> {
				const { endpointId } = this.getWorkflowStaticData('node');
				if (!endpointId) return false;
				const endpoint = await found(this, 'GET', String(endpointId));
				if (endpoint?.status !== 'enabled' || endpoint.url !== this.getNodeWebhookUrl('default')) return false;
				return String((endpoint.events as string[]).sort()) === String(eventsOf(this));
			},
			async create(this: IHookFunctions): Promise<boolean> {
				await remove(this); // of other settings, or disabled
				const body = { url: this.getNodeWebhookUrl('default'), events: eventsOf(this), description: 'n8n' };
				const { id, secret } = await call(this, 0, 'POST', '/webhook_endpoints', { body });
				Object.assign(this.getWorkflowStaticData('node'), { endpointId: id, secret });
				return true;
			},
			async delete(this: IHookFunctions): Promise<boolean> {
				await remove(this);
				return true;
			},
		},
	};

	async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
		const { secret } = this.getWorkflowStaticData('node');
		const request = this.getRequestObject();
		const header = String(request.headers['aistemsplitter-signature'] ?? '');
		if (!isGenuine(request.rawBody, header, String(secret ?? ''), Date.now() / 1000)) {
			this.getResponseObject().status(401).json({ message: 'The signature is wrong or too old.' });
			return { noWebhookResponse: true };
		}
		const event = JSON.parse(request.rawBody.toString('utf8')) as IDataObject;
		return { workflowData: [this.helpers.returnJsonArray(event)] };
	}
}

/** Returns the chosen events, sorted: all, or some. */
function eventsOf(node: IHookFunctions): string[] {
	const events = node.getNodeParameter('events') as string[];
	return events.includes(ALL) ? [ALL] : [...events].sort();
}

/** Deletes the endpoint of the workflow, if it has one. */
async function remove(node: IHookFunctions): Promise<void> {
	const saved = node.getWorkflowStaticData('node');
	if (saved.endpointId) await found(node, 'DELETE', String(saved.endpointId));
	delete saved.endpointId;
	delete saved.secret;
}

/** Returns the result of a request, or undefined if the endpoint does not exist. */
async function found(node: IHookFunctions, method: 'GET' | 'DELETE', id: string): Promise<IDataObject | undefined> {
	try {
		return await call(node, 0, method, `/webhook_endpoints/${encodeURIComponent(id)}`);
	} catch (error) {
		if (error.httpCode === '404') return undefined;
		throw new NodeApiError(node.getNode(), error as JsonObject); // returns that of call as it is
	}
}
