import type {
	IDataObject,
	IHookFunctions,
	INodeType,
	INodeTypeDescription,
	IWebhookFunctions,
	IWebhookResponseData,
} from 'n8n-workflow';
import { NodeConnectionTypes } from 'n8n-workflow';
import { isGenuine } from './signature';

export class StemSplitterTrigger implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Stem Splitter Trigger',
		name: 'stemSplitterTrigger',
		icon: { light: 'file:../../icons/stemsplitter.svg', dark: 'file:../../icons/stemsplitter.dark.svg' },
		group: ['trigger'],
		version: [1],
		subtitle: '={{ $parameter["events"].join(", ") }}',
		description: 'Starts a workflow when a split has ended',
		defaults: { name: 'Stem Splitter Trigger' },
		inputs: [],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'stemSplitterApi', required: true }],
		webhooks: [{ name: 'default', httpMethod: 'POST', responseMode: 'onReceived', path: 'webhook', rawBody: true }],
		properties: [
			{
				displayName: 'Use the URL of this node as the Webhook URL of splits. Webhooks are verified with the signing secret of the credential.',
				name: 'notice',
				type: 'notice',
				default: '',
			},
			{
				displayName: 'Events',
				name: 'events',
				type: 'multiOptions',
				default: ['completed', 'failed'],
				options: [
					{ name: 'Completed', value: 'completed' },
					{ name: 'Failed', value: 'failed' },
				],
			},
		],
	};

	// the URL is part of each split, so that the server knows of no webhook
	webhookMethods = {
		default: {
			async checkExists(this: IHookFunctions): Promise<boolean> {
				return true;
			},
			async create(this: IHookFunctions): Promise<boolean> {
				return true;
			},
			async delete(this: IHookFunctions): Promise<boolean> {
				return true;
			},
		},
	};

	async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
		const { webhookSecret } = await this.getCredentials('stemSplitterApi');
		const request = this.getRequestObject();
		const header = String(request.headers['aistemsplitter-signature'] ?? '');
		if (!isGenuine(request.rawBody, header, String(webhookSecret ?? ''), Date.now() / 1000)) {
			this.getResponseObject().status(401).json({ message: 'The signature is wrong or too old.' });
			return { noWebhookResponse: true };
		}
		const event = JSON.parse(request.rawBody.toString('utf8')) as IDataObject;
		const kind = String(event.event).split('.').pop() ?? '';
		const isWanted = (this.getNodeParameter('events') as string[]).includes(kind);
		return isWanted ? { workflowData: [this.helpers.returnJsonArray(event)] } : {};
	}
}
