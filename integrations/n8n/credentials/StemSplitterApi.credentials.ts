import type {
	IAuthenticateGeneric,
	ICredentialTestRequest,
	ICredentialType,
	INodeProperties,
} from 'n8n-workflow';

export class StemSplitterApi implements ICredentialType {
	name = 'stemSplitterApi';

	displayName = 'Stem Splitter API';

	icon = { light: 'file:../icons/stemsplitter.svg', dark: 'file:../icons/stemsplitter.dark.svg' } as const;

	documentationUrl = 'https://github.com/stemsplitter/stemsplitter/tree/main/integrations/n8n#credentials';

	properties: INodeProperties[] = [
		{
			displayName: 'Base URL',
			name: 'baseUrl',
			type: 'string',
			default: '',
			required: true,
			placeholder: 'https://stems.example.com',
			description: 'Address of the server, without /v1',
		},
		{
			displayName: 'API Key',
			name: 'apiKey',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			required: true,
		},
	];

	authenticate: IAuthenticateGeneric = {
		type: 'generic',
		properties: { headers: { Authorization: '=Bearer {{$credentials.apiKey}}' } },
	};

	test: ICredentialTestRequest = {
		request: {
			baseURL: '={{$credentials.baseUrl.replace(/\\/+$/, "")}}',
			url: '/v1/credits',
		},
	};
}
